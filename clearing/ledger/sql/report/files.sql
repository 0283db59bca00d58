-- Control totals of the files received for the business date. Grain: received file; nothing out while it is pending.
WITH results AS (
    SELECT file_no, d.name AS disposition, SUM(r.rows)::BIGINT AS rows, SUM(r.fen)::BIGINT AS fen
    FROM file_results r JOIN dispositions d USING (disposition) GROUP BY ALL)
SELECT f.file_no, f.file, f.sender, f.service, f.received_at, f.batch IS NOT NULL AS cleared,
    f.rows AS rows_in, f.amount_fen AS fen_in,
    COALESCE(SUM(r.rows) FILTER (disposition = 'ACCEPTED'), 0)::BIGINT AS accepted_rows,
    COALESCE(SUM(r.fen) FILTER (disposition = 'ACCEPTED'), 0)::BIGINT AS accepted_fen,
    COALESCE(SUM(r.rows) FILTER (disposition = 'HELD'), 0)::BIGINT AS held_rows,
    COALESCE(SUM(r.fen) FILTER (disposition = 'HELD'), 0)::BIGINT AS held_fen,
    COALESCE(SUM(r.rows) FILTER (disposition = 'REJECTED'), 0)::BIGINT AS rejected_rows,
    COALESCE(SUM(r.fen) FILTER (disposition = 'REJECTED'), 0)::BIGINT AS rejected_fen,
    COALESCE(SUM(r.rows) FILTER (disposition = 'DUPLICATE'), 0)::BIGINT AS duplicate_rows,
    COALESCE(SUM(r.fen) FILTER (disposition = 'DUPLICATE'), 0)::BIGINT AS duplicate_fen,
    COALESCE(SUM(r.rows) FILTER (disposition = 'UNREADABLE'), 0)::BIGINT AS unreadable_rows,
    COALESCE(SUM(r.fen) FILTER (disposition = 'UNREADABLE'), 0)::BIGINT AS unreadable_fen,
    IF(f.batch IS NULL, 0, f.rows - COALESCE(SUM(r.rows), 0))::BIGINT AS difference_rows,
    IF(f.batch IS NULL, 0, f.amount_fen - COALESCE(SUM(r.fen), 0))::BIGINT AS difference_fen
FROM files f LEFT JOIN results r USING (file_no)
WHERE f.outcome = 'received' AND f.received_window = $date::DATE
GROUP BY ALL ORDER BY f.service, f.sender, f.file_no;
