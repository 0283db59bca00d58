-- Every journal entry's postings sum to zero. Grain: entry and window.
SELECT entry, "window", SUM(fen)::BIGINT AS fen
FROM postings GROUP BY entry, "window" HAVING SUM(fen) <> 0;
