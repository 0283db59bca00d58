-- Counters of cards that proven records have shown, as runs without a hole: the day's islands of numbers, joined with
-- the runs known before. Of a card that shows nothing new the runs stay. Grain: card, purse, debits (0) or loads (1), run.
WITH proven AS (
    SELECT DISTINCT card_id, purse_kind, (service = 'load')::UTINYINT AS load, card_counter
    FROM transactions
    WHERE tac_verdict = 1 AND sign = 1 AND disposition IN (1, 2) AND test_flag = 0 AND card_counter IS NOT NULL),
islands AS (
    SELECT card_id, purse_kind, load, MIN(card_counter) AS first, MAX(card_counter) AS last
    FROM (SELECT *, card_counter - ROW_NUMBER() OVER (
            PARTITION BY card_id, purse_kind, load ORDER BY card_counter) AS island FROM proven)
    GROUP BY card_id, purse_kind, load, island),
shown AS (
    SELECT card_id, purse_kind, load, first, last FROM islands
    UNION ALL
    SELECT card_id, purse_kind, load, first, last FROM earlier_card_runs SEMI JOIN proven USING (card_id)),
reaching AS (
    SELECT *, MAX(last) OVER (PARTITION BY card_id, purse_kind, load ORDER BY first
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM shown),
numbered AS (
    SELECT *, COUNT(*) FILTER (reached IS NULL OR first > reached + 1) OVER (
        PARTITION BY card_id, purse_kind, load ORDER BY first ROWS UNBOUNDED PRECEDING) AS run
    FROM reaching)
SELECT card_id, purse_kind, load, MIN(first) AS first, MAX(last) AS last
FROM numbered GROUP BY card_id, purse_kind, load, run
UNION ALL
SELECT card_id, purse_kind, load, first, last FROM earlier_card_runs ANTI JOIN proven USING (card_id);
