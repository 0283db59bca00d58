-- Accepted grants that no accepted load has picked up and no correction has touched, received by a window.
SELECT d.txn_id FROM decisions d
JOIN (SELECT DISTINCT txn_id, benefit_id, card_id FROM benefit) b ON b.txn_id = d.txn_id
WHERE d.disposition = 1 AND d.received_window <= $by
    AND NOT EXISTS (SELECT 1 FROM load l JOIN decisions p ON p.txn_id = l.txn_id AND p.disposition = 1
        WHERE l.benefit_id = b.benefit_id AND l.card_id = b.card_id)
    AND NOT EXISTS (SELECT 1 FROM correction_legs c WHERE c.txn_id = d.txn_id)
ORDER BY d.txn_id;
