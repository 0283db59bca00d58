-- Rows still held $days days after their receipt: somebody has to decide. Grain: status and received window.
SELECT s.name AS status, t.received_window, SUM(t.sign)::BIGINT AS rows, SUM(t.sign * t.amount)::BIGINT AS fen
FROM transactions t JOIN statuses s USING (status)
WHERE t.disposition = 2 AND t.received_window < (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER
GROUP BY ALL HAVING SUM(t.sign) <> 0;
