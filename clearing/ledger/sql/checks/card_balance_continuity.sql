-- Balances of a card go on from record to record: after one debit and the proven loads since, the next debit's counter
-- finds the balance the card had. Where it does not, money moved that no record tells. Grain: card and debit.
WITH debits AS (
    SELECT *, LAG(card_counter) OVER chain AS earlier_counter, LAG(balance_after) OVER chain AS earlier_balance,
        LAG(loaded_so_far) OVER chain AS earlier_loaded
    FROM card_moves WHERE NOT load
    WINDOW chain AS (PARTITION BY card_id, purse_kind ORDER BY txn_time, card_counter, txn_id))
SELECT card_id, txn_id, card_counter, (earlier_balance + loaded_so_far - earlier_loaded)::BIGINT AS shadow_balance, balance_before
FROM debits
WHERE card_counter = earlier_counter + 1 AND balance_before <> earlier_balance + loaded_so_far - earlier_loaded;
