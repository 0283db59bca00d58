-- Benefits granted to a card and whether a load has picked them up.
SELECT b.txn_id, b.benefit_id, b.granted, d.merchant_id AS fund, d."window", d.disposition,
    EXISTS (SELECT 1 FROM load l JOIN decisions p ON p.txn_id = l.txn_id AND p.disposition = 1
            WHERE l.benefit_id = b.benefit_id AND l.card_id = b.card_id) AS picked_up
FROM (SELECT DISTINCT txn_id, benefit_id, granted, card_id FROM benefit WHERE card_id = $card) b
JOIN decisions d ON d.txn_id = b.txn_id AND d.disposition IN (1, 2) ORDER BY d."window", b.txn_id;
