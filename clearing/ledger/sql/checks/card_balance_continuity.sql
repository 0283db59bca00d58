-- Balances of a card go on from record to record: after one debit and the proven loads since, the next debit's counter
-- finds the balance the card had. Where it does not, money moved that no record tells. Grain: card and debit.
WITH moves AS (
    SELECT txn_id, card_id, purse_kind, service = 'load' AS load, txn_time, card_counter, balance_before,
        balance_after, IF(service = 'load', amount, 0) AS loaded
    FROM transactions ANTI JOIN (SELECT txn_id, event - 1 AS event FROM transactions WHERE sign = -1) USING (txn_id, event)
    WHERE tac_verdict = 1 AND sign = 1 AND disposition IN (1, 2) AND test_flag = 0 AND card_counter IS NOT NULL
        AND balance_before IS NOT NULL AND txn_time IS NOT NULL AND amount <> 0),
running AS (
    SELECT *, SUM(loaded) OVER (
        PARTITION BY card_id, purse_kind ORDER BY txn_time, load, card_counter, txn_id
        ROWS UNBOUNDED PRECEDING) AS loaded_so_far
    FROM moves),
debits AS (
    SELECT *, LAG(card_counter) OVER chain AS earlier_counter, LAG(balance_after) OVER chain AS earlier_balance,
        LAG(loaded_so_far) OVER chain AS earlier_loaded
    FROM running WHERE NOT load
    WINDOW chain AS (PARTITION BY card_id, purse_kind ORDER BY txn_time, card_counter, txn_id))
SELECT card_id, txn_id, card_counter, (earlier_balance + loaded_so_far - earlier_loaded)::BIGINT AS shadow_balance, balance_before
FROM debits
WHERE card_counter = earlier_counter + 1 AND balance_before <> earlier_balance + loaded_so_far - earlier_loaded;
