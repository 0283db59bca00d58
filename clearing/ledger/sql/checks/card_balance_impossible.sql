-- Accepted purse rows whose three figures cannot all be true: before − amount = after (loads: before + amount = after).
-- Grain: transaction.
SELECT txn_id, card_id, service, balance_before, amount, balance_after FROM transactions
WHERE disposition = 1 AND sign = 1 AND test_flag = 0 AND balance_before IS NOT NULL AND balance_after IS NOT NULL
    AND service <> 'benefit' AND balance_before + IF(service = 'load', amount, -amount) <> balance_after;
