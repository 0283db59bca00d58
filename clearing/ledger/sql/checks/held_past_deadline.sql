-- Rows still held $days days after their receipt: somebody has to decide. Grain: status and received window.
SELECT s.name AS status, h.received_window, h.rows, h.fen
FROM held_rows h JOIN statuses s USING (status)
WHERE h.rows <> 0 AND h.received_window < (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER;
