-- Fees as the close lists them are fees as it posted them: payer and earners. Grain: window, side, participant.
WITH listed AS (
    SELECT "window", 'merchant_payable' AS kind, merchant AS participant, -SUM(fen)::BIGINT AS fen FROM fees GROUP BY ALL
    UNION ALL
    SELECT "window", 'fee_income', participant, SUM(fen)::BIGINT FROM fees GROUP BY ALL),
posted AS (
    SELECT p."window", p.kind, p.participant, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN windows w ON w.entry = p.entry WHERE p.kind = 'fee_income' GROUP BY ALL
    UNION ALL
    SELECT p."window", p.kind, p.participant, SUM(p.fen)::BIGINT
    FROM postings p JOIN windows w ON w.entry = p.entry
    WHERE p.kind = 'merchant_payable' AND p.source = 0 GROUP BY ALL),
held AS (
    SELECT p."window", 'merchant_payable' AS kind, p.participant, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN windows w ON w.entry = p.entry
    WHERE p.kind = 'held_back' AND p.source = 0 GROUP BY ALL)
SELECT "window", kind, participant, COALESCE(l.fen, 0) AS listed_fen,
    COALESCE(p.fen, 0) + COALESCE(h.fen, 0) AS posted_fen
FROM listed l FULL JOIN posted p USING ("window", kind, participant)
    LEFT JOIN held h USING ("window", kind, participant)
WHERE COALESCE(l.fen, 0) <> COALESCE(p.fen, 0) + COALESCE(h.fen, 0);
