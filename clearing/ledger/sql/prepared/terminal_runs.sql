-- Transaction numbers of terminals that rows have shown, as runs without a hole. Grain: terminal, run.
WITH numbers AS (
    SELECT DISTINCT merchant_id, terminal_id, terminal_counter FROM transactions
    WHERE event = 0 AND disposition IN (1, 2) AND test_flag = 0 AND terminal_counter IS NOT NULL),
shown AS (
    SELECT merchant_id, terminal_id, MIN(terminal_counter) AS first, MAX(terminal_counter) AS last
    FROM (SELECT *, terminal_counter - ROW_NUMBER() OVER (
            PARTITION BY merchant_id, terminal_id ORDER BY terminal_counter) AS island FROM numbers)
    GROUP BY merchant_id, terminal_id, island
    UNION ALL
    SELECT merchant_id, terminal_id, first, last FROM earlier_terminal_runs),
reaching AS (
    SELECT *, MAX(last) OVER (PARTITION BY terminal_id ORDER BY first, last
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM shown),
numbered AS (
    SELECT *, COUNT(*) FILTER (reached IS NULL OR first > reached + 1) OVER (
        PARTITION BY terminal_id ORDER BY first, last ROWS UNBOUNDED PRECEDING) AS run
    FROM reaching)
SELECT ARG_MIN(merchant_id, first) AS merchant_id, terminal_id, MIN(first) AS first, MAX(last) AS last
FROM numbered GROUP BY terminal_id, run;
