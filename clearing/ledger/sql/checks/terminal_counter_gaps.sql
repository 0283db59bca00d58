-- Terminal transaction numbers that no row has shown, of terminals without register totals (theirs are told by the
-- registers: refused numbers leave no row). Grain: gap.
WITH shown AS (
    SELECT DISTINCT merchant_id, terminal_id, terminal_counter FROM transactions
    WHERE event = 0 AND disposition IN (1, 2) AND test_flag = 0 AND terminal_counter IS NOT NULL),
ordered AS (
    SELECT *, LAG(terminal_counter) OVER (PARTITION BY terminal_id ORDER BY terminal_counter) AS before FROM shown
    WHERE terminal_id NOT IN (SELECT terminal_id FROM terminal_registers))
SELECT merchant_id, terminal_id, before + 1 AS first_missing, terminal_counter - 1 AS last_missing,
    terminal_counter - before - 1 AS missing
FROM ordered WHERE terminal_counter > before + 1;
