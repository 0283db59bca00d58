-- Every payable row of a closed window is in exactly one position of that window: payee and source of money have one.
-- Grain: window, payee, source of money.
WITH payable AS (
    SELECT "window", participant, source, SUM(fen)::BIGINT AS fen FROM segment_sums
    WHERE kind = 'merchant_payable' GROUP BY ALL HAVING SUM(fen) <> 0),
placed AS (SELECT "window", participant, source, COUNT(*) AS positions FROM positions GROUP BY ALL)
SELECT "window", participant, source, payable.fen, COALESCE(placed.positions, 0) AS positions
FROM payable JOIN windows USING ("window") LEFT JOIN placed USING ("window", participant, source)
WHERE COALESCE(placed.positions, 0) <> 1;
