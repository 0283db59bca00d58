-- Control totals of the files received for the business date. Grain: received file; nothing out while it is pending.
WITH ends AS (
    SELECT r.file_no, SUM(r.rows)::BIGINT AS rows_out, SUM(r.fen)::BIGINT AS fen_out,
        COALESCE(SUM(r.rows) FILTER (WHERE d.name = 'ACCEPTED'), 0)::BIGINT AS accepted_rows,
        COALESCE(SUM(r.fen) FILTER (WHERE d.name = 'ACCEPTED'), 0)::BIGINT AS accepted_fen,
        COALESCE(SUM(r.rows) FILTER (WHERE d.name = 'HELD'), 0)::BIGINT AS held_rows,
        COALESCE(SUM(r.fen) FILTER (WHERE d.name = 'HELD'), 0)::BIGINT AS held_fen,
        COALESCE(SUM(r.rows) FILTER (WHERE d.name = 'REJECTED'), 0)::BIGINT AS rejected_rows,
        COALESCE(SUM(r.fen) FILTER (WHERE d.name = 'REJECTED'), 0)::BIGINT AS rejected_fen,
        COALESCE(SUM(r.rows) FILTER (WHERE d.name = 'DUPLICATE'), 0)::BIGINT AS duplicate_rows,
        COALESCE(SUM(r.fen) FILTER (WHERE d.name = 'DUPLICATE'), 0)::BIGINT AS duplicate_fen,
        COALESCE(SUM(r.rows) FILTER (WHERE d.name = 'UNREADABLE'), 0)::BIGINT AS unreadable_rows,
        COALESCE(SUM(r.fen) FILTER (WHERE d.name = 'UNREADABLE'), 0)::BIGINT AS unreadable_fen
    FROM file_results r JOIN dispositions d USING (disposition) GROUP BY r.file_no)
SELECT f.file_no, f.file, f.sender, f.service, f.received_at, f.batch IS NOT NULL AS cleared,
    f.rows AS rows_in, f.amount_fen AS fen_in, ends.* EXCLUDE (file_no, rows_out, fen_out),
    IF(f.batch IS NULL, 0, f.rows - COALESCE(rows_out, 0)) AS difference_rows,
    IF(f.batch IS NULL, 0, f.amount_fen - COALESCE(fen_out, 0)) AS difference_fen
FROM files f LEFT JOIN ends USING (file_no)
WHERE f.outcome = 'received' AND f.received_window = $date
ORDER BY f.service, f.sender, f.file_no;
