-- Transactions that may wait for a person: held ones, and those on which a cardholder's money lies.
SELECT txn_id FROM decisions
WHERE disposition = 2 OR (disposition = 1 AND (overcharge > 0 OR cardholder_suspense > 0)) ORDER BY txn_id;
