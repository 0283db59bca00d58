-- Every transaction has exactly one live decision: what a later event takes back, it replaces. Of a transaction decided
-- before $after only later events are seen, and they sum to nothing. Grain: transaction.
SELECT txn_id, SUM(sign)::BIGINT AS live FROM transactions GROUP BY txn_id
HAVING SUM(sign) <> IF($after = 0 OR BOOL_OR(event = 0), 1, 0);
