-- Control totals at file, operator, window and day: what manifests announce, receipts count and segments keep is the
-- same in rows and fen. A level without control totals of all its files is compared in rows alone. Grain: level, key.
WITH kept AS (
    SELECT txn_id >> 32 AS file_no, COUNT(*) AS rows, SUM(amount)::BIGINT AS fen
    FROM transactions WHERE event = 0 AND service <> 'benefit' GROUP BY ALL
    UNION ALL
    SELECT txn_id >> 32, COUNT(*), SUM(granted)::BIGINT FROM benefit WHERE event = 0 GROUP BY ALL),
unread AS (SELECT txn_id >> 32 AS file_no, COUNT(*) AS rows FROM unreadable GROUP BY ALL),
answered AS (
    SELECT file_no, SUM(rows)::BIGINT AS rows, SUM(fen)::BIGINT AS fen,
        COALESCE(SUM(fen) FILTER (WHERE disposition = 5), 0)::BIGINT AS unread_fen
    FROM file_results GROUP BY ALL),
per_file AS (
    SELECT f.file_no, f.sender, f.received_window AS day, f.rows AS announced_rows, f.amount_fen AS announced_fen,
        COALESCE(a.rows, 0) AS answered_rows, COALESCE(a.fen, 0) AS answered_fen,
        COALESCE(k.rows, 0) + COALESCE(u.rows, 0) AS kept_rows, COALESCE(k.fen, 0) + COALESCE(a.unread_fen, 0) AS kept_fen
    FROM files f LEFT JOIN answered a USING (file_no) LEFT JOIN kept k USING (file_no) LEFT JOIN unread u USING (file_no)
    WHERE f.batch > $after),
levels AS (
    SELECT CASE WHEN GROUPING(file_no) = 0 THEN 'file' WHEN GROUPING(sender) = 0 THEN 'operator'
            WHEN GROUPING(day) = 0 THEN 'window' ELSE 'ledger' END AS level,
        file_no, sender, day, SUM(announced_rows)::BIGINT AS announced_rows, SUM(answered_rows)::BIGINT AS answered_rows,
        SUM(kept_rows)::BIGINT AS kept_rows, SUM(announced_fen)::BIGINT AS announced_fen,
        SUM(answered_fen)::BIGINT AS answered_fen, SUM(kept_fen)::BIGINT AS kept_fen,
        COUNT(*) = COUNT(announced_fen) AS with_money
    FROM per_file GROUP BY GROUPING SETS ((file_no), (sender, day), (day), ()))
SELECT level, file_no, sender, day, announced_rows, answered_rows, kept_rows, announced_fen, answered_fen, kept_fen
FROM levels
WHERE announced_rows <> answered_rows OR answered_rows <> kept_rows
    OR with_money AND (announced_fen <> answered_fen OR answered_fen <> kept_fen);
