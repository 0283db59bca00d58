-- Uses of cards while they were on the blacklist, by terminal: within the grace of the published list, or after it.
-- Grain: merchant, terminal, grace, disposition.
WITH listed AS (SELECT UNNEST($cards) AS card, UNNEST($published) AS published, UNNEST($removed) AS removed)
SELECT d.merchant_id AS merchant, d.terminal_id, epoch(d.txn_time)::BIGINT < l.published + $grace AS within_grace,
    d.disposition, COUNT(DISTINCT d.txn_id) AS uses, COUNT(DISTINCT d.card_id) AS cards, SUM(d.amount)::BIGINT AS fen,
    MIN(d.txn_time) AS first_use, MAX(d.txn_time) AS last_use
FROM decisions d JOIN listed l ON d.card_id = l.card::UBIGINT AND epoch(d.txn_time)::BIGINT >= l.published
    AND epoch(d.txn_time)::BIGINT < l.removed
WHERE d.disposition IN (1, 2, 3) AND d.test_flag = 0
GROUP BY ALL ORDER BY within_grace, uses DESC, merchant, terminal_id;
