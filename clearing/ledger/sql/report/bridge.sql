-- Rows received for the business date or settling in its window, by which of the two. Grain: step of the bridge.
WITH readable AS (
    SELECT CASE WHEN "window" <> $date THEN 'settles_later' WHEN received_window <> $date THEN 'received_before'
            ELSE 'same_day' END AS step,
        SUM(sign)::BIGINT AS rows, SUM(sign * money)::BIGINT AS fen
    FROM control_rows WHERE "window" = $date OR received_window = $date
    GROUP BY ALL)
SELECT step, rows, fen FROM readable
UNION ALL
SELECT 'unreadable', SUM(r.rows)::BIGINT, SUM(r.fen)::BIGINT
FROM file_results r JOIN files f USING (file_no) JOIN dispositions d USING (disposition)
WHERE d.name = 'UNREADABLE' AND f.received_window = $date
HAVING COUNT(*) > 0;
