-- Accepted rows of the public's services by operating day, service, payee and hour, newest decision each. A cell is
-- left out when fewer than $cards cards are in it, or when one card makes up more than half of its money.
-- Neither totals nor what was left out is given: with them a single suppressed cell could be computed.
-- Grain: operating day, service, payee, hour.
WITH per_card AS (
    SELECT d.operating_day, d.service, p.participant, d.card_id, date_part('hour', d.txn_time) AS hour,
        COUNT(*) AS rows, SUM(d.amount)::BIGINT AS fen
    FROM decisions d JOIN participants p ON p.participant = d.merchant_id
    WHERE d.disposition = 1 AND d.sign = 1 AND d.test_flag = 0 AND d.service IN ('transit', 'retail', 'load')
    GROUP BY ALL),
cells AS (
    SELECT operating_day, service, participant, hour, SUM(rows)::BIGINT AS rows, SUM(fen)::BIGINT AS fen,
        COUNT(*) AS cards, MAX(fen) AS largest
    FROM per_card GROUP BY ALL)
SELECT c.operating_day, c.service, c.participant, p.name_zh, p.name_en, c.hour::INTEGER AS hour, c.rows, c.fen
FROM cells c JOIN participants p USING (participant)
WHERE c.cards >= $cards AND 2 * c.largest <= c.fen
ORDER BY c.operating_day, c.service, c.participant, c.hour;
