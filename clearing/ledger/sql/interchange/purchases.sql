-- Newest decisions on purchases of some cards, for comparison with another centre's feedback. Grain: transaction.
SELECT card_id, card_counter, amount, date4, time3, txn_id, disposition
FROM decisions WHERE card_id IN (SELECT UNNEST($cards)) AND txn_type IN (5, 6, 9) ORDER BY txn_id;
