-- Every payable row of a closed window is in exactly one position of that window: payee and source of money have one.
-- Rows up to $after count by their postings.
-- Grain: window, payee, source of money.
WITH payable AS (
    SELECT "window", participant, source, SUM(fen)::BIGINT AS fen FROM (
        SELECT "window", participant, source, fen FROM segment_sums WHERE kind = 'merchant_payable'
        UNION ALL
        SELECT p."window", p.participant, p.source, p.fen FROM postings p JOIN journal j ON j.sequence = p.entry
        WHERE j.kind = 'batch' AND p.kind = 'merchant_payable' AND p.entry <= $after)
    GROUP BY ALL HAVING SUM(fen) <> 0),
placed AS (SELECT "window", participant, source, COUNT(*) AS positions FROM positions GROUP BY ALL)
SELECT "window", participant, source, payable.fen, COALESCE(placed.positions, 0) AS positions
FROM payable JOIN windows USING ("window") LEFT JOIN placed USING ("window", participant, source)
WHERE COALESCE(placed.positions, 0) <> 1;
