-- Every transaction has exactly one live decision: what a later event takes back, it replaces. Grain: transaction.
SELECT txn_id, SUM(sign)::BIGINT AS live FROM transactions GROUP BY txn_id HAVING SUM(sign) <> 1;
