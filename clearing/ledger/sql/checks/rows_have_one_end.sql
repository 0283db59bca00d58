-- Per cleared file: rows in = accepted + held + rejected + duplicate + unreadable.
SELECT f.file_no, f.rows AS rows_in, COALESCE(SUM(r.rows), 0)::BIGINT AS rows_out
FROM files f LEFT JOIN file_results r USING (file_no)
WHERE f.batch IS NOT NULL
GROUP BY f.file_no, f.rows HAVING f.rows <> COALESCE(SUM(r.rows), 0);
