-- Corrections of a card and of its transactions, oldest first.
SELECT a.adjustment, a."window", a.template, a.txn_id, a.fen, a.reason
FROM adjustments a
WHERE a.card_id = $card OR a.txn_id IN (SELECT txn_id FROM decisions WHERE card_id = $card)
ORDER BY a.entry, a.adjustment;
