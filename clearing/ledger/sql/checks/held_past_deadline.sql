-- Rows still held $days days after their receipt, corrections having left something of them: somebody has to decide.
-- Grain: status and received window.
SELECT s.name AS status, h.received_window, SUM(h.rows)::BIGINT AS rows, SUM(h.fen - COALESCE(w.fen, 0))::BIGINT AS fen
FROM held_rows h JOIN statuses s USING (status)
LEFT JOIN (SELECT txn_id, SUM(fen)::BIGINT AS fen FROM moved_on GROUP BY txn_id) w USING (txn_id)
WHERE h.received_window < (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER
    AND (COALESCE(w.fen, 0) < h.fen OR h.fen = 0)
GROUP BY ALL HAVING SUM(h.rows) <> 0;
