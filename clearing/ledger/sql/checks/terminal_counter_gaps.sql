-- Terminal transaction numbers that no row has shown, of terminals without register totals (theirs are told by the
-- registers: refused numbers leave no row). Grain: gap.
WITH ordered AS (
    SELECT *, LAG(last) OVER (PARTITION BY terminal_id ORDER BY first) AS before FROM terminal_runs
    WHERE terminal_id NOT IN (SELECT terminal_id FROM terminal_registers))
SELECT merchant_id, terminal_id, before + 1 AS first_missing, first - 1 AS last_missing, first - before - 1 AS missing
FROM ordered WHERE before IS NOT NULL;
