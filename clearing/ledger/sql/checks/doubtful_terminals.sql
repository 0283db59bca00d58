-- Terminals with $uses rows or more of one day whose TAC fails under a key we hold, or which replay others: broken, or
-- forged. Grain: terminal, day.
SELECT merchant_id, terminal_id, received_window, COUNT(*) FILTER (WHERE tac_verdict = 2) AS failed_tacs,
    COUNT(*) FILTER (WHERE s.name = 'REPLAY') AS replays
FROM transactions t JOIN statuses s USING (status)
WHERE t.event = 0 AND t.test_flag = 0 AND (tac_verdict = 2 OR s.name = 'REPLAY')
GROUP BY ALL HAVING COUNT(*) >= $uses;
