-- The rows in the segments are the rows of the receipts, per file and first decision (later events change no receipt).
WITH decided AS (
    SELECT txn_id >> 32 AS file_no, COUNT(*) AS rows
    FROM transactions WHERE event = 0 GROUP BY ALL),
unread AS (SELECT txn_id >> 32 AS file_no, COUNT(*) AS rows FROM unreadable GROUP BY ALL),
received AS (
    SELECT file_no, SUM(rows)::BIGINT AS rows FROM file_results
    WHERE file_no NOT IN (SELECT file_no FROM files WHERE batch <= $after) GROUP BY ALL)
SELECT file_no, received.rows AS receipt_rows, COALESCE(decided.rows, 0) + COALESCE(unread.rows, 0) AS segment_rows
FROM received LEFT JOIN decided USING (file_no) LEFT JOIN unread USING (file_no)
WHERE received.rows <> COALESCE(decided.rows, 0) + COALESCE(unread.rows, 0);
