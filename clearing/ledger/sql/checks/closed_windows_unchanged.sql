-- Nothing clears into a closed window: no batch or correction behind its close posts there. Payments and bank lines
-- count whatever their window. Grain: entry, window.
SELECT p.entry, p."window", SUM(ABS(p.fen))::BIGINT AS fen
FROM postings p JOIN windows w ON w."window" = p."window" JOIN journal j ON j.sequence = p.entry
WHERE p.entry > w.entry AND j.kind NOT IN ('order', 'bank') GROUP BY ALL;
