-- Trial balance of the business date: before, the window's movement by side, after (credit positive).
-- Grain: account kind and source of money.
WITH accounts AS (
    SELECT "window" = $date AS today, kind, participant, source, SUM(fen)::BIGINT AS fen
    FROM postings WHERE "window" <= $date GROUP BY ALL)
SELECT kind, source, COALESCE(SUM(fen) FILTER (WHERE NOT today), 0)::BIGINT AS opening,
    COALESCE(-SUM(fen) FILTER (WHERE today AND fen < 0), 0)::BIGINT AS debit,
    COALESCE(SUM(fen) FILTER (WHERE today AND fen > 0), 0)::BIGINT AS credit, SUM(fen)::BIGINT AS closing
FROM accounts GROUP BY kind, source HAVING SUM(ABS(fen)) <> 0 ORDER BY kind, source;
