-- Those of some transactions about which a dispute is open.
SELECT DISTINCT txn_id FROM dispute_status WHERE list_contains($txns, txn_id) AND NOT closed;
