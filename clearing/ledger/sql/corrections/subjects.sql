-- The newest decision of some transactions, with what a person needs to correct them.
SELECT d.txn_id, d.service, d.status, d.disposition, d.issuer, d.merchant_id, d.card_id, d.received_window,
    COALESCE(b.granted, d.amount) AS money, COALESCE(m.cancel, 0) AS cancels, d.tac_verdict = 1 AS verified
FROM decisions d
LEFT JOIN (SELECT DISTINCT txn_id, granted FROM benefit) b ON b.txn_id = d.txn_id
LEFT JOIN (SELECT DISTINCT txn_id, cancel FROM medical) m ON m.txn_id = d.txn_id
WHERE d.txn_id IN (SELECT UNNEST($txns)) ORDER BY d.txn_id;
