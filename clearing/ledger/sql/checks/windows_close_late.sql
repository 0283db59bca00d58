-- Windows that nobody has closed $days days after they took their last receipt. Grain: window.
SELECT p."window", SUM(ABS(p.fen))::BIGINT AS fen FROM postings p ANTI JOIN windows USING ("window")
WHERE p."window" < (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER GROUP BY ALL;
