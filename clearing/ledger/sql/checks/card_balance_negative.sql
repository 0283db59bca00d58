-- Cards whose own record shows a balance below zero, or more drawn than the overdraft allows. Grain: transaction.
SELECT txn_id, card_id, balance_after, overdraft_limit FROM transactions
WHERE tac_verdict = 1 AND sign = 1 AND disposition IN (1, 2) AND test_flag = 0
    AND balance_after < 0 AND -balance_after > COALESCE(overdraft_limit, 0);
