-- Per cleared file with a control total: its fen end in exactly one disposition each.
SELECT f.file_no, f.amount_fen AS fen_in, SUM(r.fen)::BIGINT AS fen_out
FROM files f JOIN file_results r USING (file_no)
WHERE f.batch IS NOT NULL AND f.amount_fen IS NOT NULL
GROUP BY f.file_no, f.amount_fen HAVING f.amount_fen <> SUM(r.fen);
