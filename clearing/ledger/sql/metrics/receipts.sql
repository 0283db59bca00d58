-- Rows and fen of all result receipts. Grain: service and status.
SELECT f.service, s.name, SUM(r.rows)::BIGINT AS rows, SUM(r.fen)::BIGINT AS fen
FROM file_results r JOIN files f USING (file_no) JOIN statuses s USING (status)
GROUP BY f.service, s.name ORDER BY f.service, s.name;
