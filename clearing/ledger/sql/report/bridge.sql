-- From the rows received for the business date to the rows that settle in its window. Grain: step of the bridge.
WITH readable AS (
    SELECT CASE WHEN "window" <> ($date::DATE - DATE '1970-01-01')::INTEGER THEN 'settles_later'
            WHEN received_window <> ($date::DATE - DATE '1970-01-01')::INTEGER THEN 'received_before' ELSE 'same_day' END AS step,
        SUM(sign)::BIGINT AS rows, SUM(sign * amount)::BIGINT AS fen
    FROM transactions
    WHERE "window" = ($date::DATE - DATE '1970-01-01')::INTEGER OR received_window = ($date::DATE - DATE '1970-01-01')::INTEGER
    GROUP BY ALL)
SELECT step, rows, fen FROM readable
UNION ALL
SELECT 'unreadable', SUM(r.rows)::BIGINT, SUM(r.fen)::BIGINT
FROM file_results r JOIN files f USING (file_no) JOIN dispositions d USING (disposition)
WHERE d.name = 'UNREADABLE' AND f.received_window = $date::DATE
HAVING COUNT(*) > 0;
