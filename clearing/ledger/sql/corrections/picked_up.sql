-- Grants of some transactions that an accepted load has picked up: grant, load.
SELECT g.txn_id, MIN(d.txn_id)
FROM benefit g JOIN load l ON l.benefit_id = g.benefit_id AND l.card_id = g.card_id
JOIN decisions d ON d.txn_id = l.txn_id AND d.disposition = 1
WHERE g.txn_id IN (SELECT UNNEST($txns)) GROUP BY g.txn_id;
