-- Counters of a card that no record has shown: between two proven records of one purse and direction, numbers are
-- missing. A record that arrives later closes its gap. Grain: gap.
WITH proven AS (
    SELECT DISTINCT card_id, purse_kind, (service = 'load')::INTEGER AS load, card_counter
    FROM transactions
    WHERE tac_verdict = 1 AND sign = 1 AND disposition IN (1, 2) AND test_flag = 0 AND card_counter IS NOT NULL),
ordered AS (
    SELECT *, LAG(card_counter) OVER (PARTITION BY card_id, purse_kind, load ORDER BY card_counter) AS before
    FROM proven)
SELECT card_id, purse_kind, load, before + 1 AS first_missing, card_counter - 1 AS last_missing,
    card_counter - before - 1 AS missing
FROM ordered WHERE card_counter > before + 1;
