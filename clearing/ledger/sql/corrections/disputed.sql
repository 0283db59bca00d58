-- Those of some transactions about which a dispute is open.
SELECT DISTINCT txn_id FROM dispute_status WHERE txn_id IN (SELECT UNNEST($txns)) AND NOT closed;
