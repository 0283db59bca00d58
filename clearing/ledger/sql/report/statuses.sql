-- What became of the window's rows, as decided now; unreadable rows count where they were received.
-- Grain: status and disposition.
WITH decided AS (
    SELECT status, disposition, SUM(sign)::BIGINT AS rows, SUM(sign * money)::BIGINT AS fen
    FROM control_rows WHERE "window" = $date
    GROUP BY ALL HAVING SUM(sign) <> 0
    UNION ALL
    SELECT r.status, r.disposition, SUM(r.rows)::BIGINT, SUM(r.fen)::BIGINT
    FROM file_results r JOIN files f USING (file_no) JOIN dispositions d USING (disposition)
    WHERE d.name = 'UNREADABLE' AND f.received_window = $date
    GROUP BY ALL)
SELECT s.status, s.name, s.zh, s.en, d.name AS disposition, COALESCE(decided.rows, 0) AS rows,
    IF(decided.rows IS NULL, 0, decided.fen) AS fen
FROM statuses s LEFT JOIN decided USING (status) LEFT JOIN dispositions d USING (disposition)
WHERE s.name <> 'NOT_PROCESSED' OR decided.rows IS NOT NULL
ORDER BY s.status, disposition;
