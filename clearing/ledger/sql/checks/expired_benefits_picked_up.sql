-- Benefits that a card has picked up although corrections gave them back to their fund as expired: the load was late, the
-- fund owes them, and claims them no more until the correction is undone. Grain: correction.
SELECT a.adjustment, a.txn_id, l.txn_id AS load_txn_id, a.participant, a.fen
FROM (SELECT adjustment, txn_id, merchant AS participant, fen FROM adjustments
      WHERE template = 'BENEFIT_EXPIRED' AND adjustment NOT IN (SELECT undoes FROM adjustments WHERE undoes IS NOT NULL)) a
JOIN (SELECT DISTINCT txn_id, benefit_id, card_id FROM benefit) b USING (txn_id)
JOIN (SELECT txn_id, benefit_id, card_id FROM load WHERE disposition = 1 GROUP BY ALL HAVING SUM(sign) > 0) l
    ON l.benefit_id = b.benefit_id AND l.card_id = b.card_id;
