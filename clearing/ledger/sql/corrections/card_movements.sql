-- What a card did, newest decisions, repeats left out. Grain: transaction.
SELECT txn_id, service, txn_time, operating_day, "window", purse_kind, txn_type IN (1, 2) AS loads, card_counter,
    amount, balance_before, balance_after, COALESCE(overdraft_limit, 0) AS overdraft_limit, issuer, merchant_id,
    terminal_id, status, disposition, tac_verdict = 1 AS verified, overcharge, cardholder_suspense, fund
FROM decisions WHERE card_id = $card AND disposition NOT IN (0, 4) AND test_flag = 0
ORDER BY txn_time NULLS FIRST, card_counter NULLS FIRST, terminal_id, terminal_counter, txn_id;
