-- Trust horizon of capture: the last minute up to which no terminal shows a hole in its numbers, and the terminal that
-- sets it (null: no hole is open). Grain: one row.
WITH shown AS (
    SELECT DISTINCT terminal_id, terminal_counter, txn_time FROM transactions
    WHERE event = 0 AND disposition IN (1, 2) AND test_flag = 0 AND terminal_counter IS NOT NULL
        AND txn_time IS NOT NULL),
last_seen AS (
    SELECT MAX(txn_time) AS newest FROM transactions WHERE event = 0 AND disposition = 1 AND test_flag = 0),
gaps AS (
    SELECT terminal_id, LAG(txn_time) OVER chain AS before_gap,
        terminal_counter - LAG(terminal_counter) OVER chain AS step
    FROM shown WHERE terminal_id NOT IN (SELECT terminal_id FROM terminal_registers)
    WINDOW chain AS (PARTITION BY terminal_id ORDER BY terminal_counter)),
open_gaps AS (
    SELECT terminal_id, before_gap FROM gaps WHERE step > 1
    UNION ALL
    SELECT r.terminal_id, MIN(f.received_at) FROM terminal_registers r JOIN files f USING (file_no)
    WHERE r.grey_rows > 0 GROUP BY ALL)
SELECT date_trunc('minute', COALESCE((SELECT MIN(before_gap) FROM open_gaps), (SELECT newest FROM last_seen)))
        AS horizon,
    (SELECT ARG_MIN(terminal_id, before_gap) FROM open_gaps) AS terminal_id,
    (SELECT COUNT(DISTINCT terminal_id) FROM open_gaps) AS terminals_with_gaps,
    (SELECT newest FROM last_seen) AS newest;
