-- Proven moves of purses in the order of their card, with what was loaded up to each; of cards that move, the newest
-- debit known before and the loads since stand in front. Grain: transaction.
WITH fresh AS (
    SELECT txn_id, card_id, purse_kind, service = 'load' AS load, txn_time, card_counter, balance_before,
        balance_after, IF(service = 'load', amount, 0) AS loaded
    FROM transactions ANTI JOIN (SELECT txn_id, event - 1 AS event FROM transactions WHERE sign = -1) USING (txn_id, event)
    WHERE tac_verdict = 1 AND sign = 1 AND disposition IN (1, 2) AND test_flag = 0 AND card_counter IS NOT NULL
        AND balance_before IS NOT NULL AND txn_time IS NOT NULL AND amount <> 0),
known AS (SELECT * FROM earlier_card_ends SEMI JOIN fresh USING (card_id)),
moves AS (
    SELECT * FROM fresh
    UNION ALL BY NAME
    SELECT txn_id, card_id, purse_kind, false AS load, txn_time, card_counter, balance_before, balance_after, 0 AS loaded
    FROM known
    UNION ALL BY NAME
    SELECT txn_id, card_id, purse_kind, true AS load, txn_time, card_counter, loaded FROM known WHERE loaded <> 0)
SELECT *, SUM(loaded) OVER (
    PARTITION BY card_id, purse_kind ORDER BY txn_time, load, card_counter, txn_id
    ROWS UNBOUNDED PRECEDING)::BIGINT AS loaded_so_far
FROM moves;
