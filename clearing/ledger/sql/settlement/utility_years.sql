-- Paid bills up to the window, by period, of every account the window pays a bill of, from the account's first year
-- concerned less $years_back on; judged = 1: paid in the window itself. A linked reversal takes its payment out.
-- $txn: only of the accounts this payment is about, NULL = all. Grain: bill.
WITH accounts AS (
    SELECT utility_id, account, MIN(period // 100) AS year FROM bills
    WHERE "window" = $window AND bill_paid = 1 AND ($txn::BIGINT IS NULL OR txn_id = $txn)
    GROUP BY ALL)
SELECT txn_id, bill_no, "window" = $window AS judged, b.utility_id, b.account, period, household_size, "usage",
    bill_amount, usage_register_1, usage_register_2, usage_register_3, usage_register_4, demand, days, customer_class,
    meter_size, allowance, days_overdue
FROM bills b JOIN accounts a ON a.utility_id = b.utility_id AND a.account = b.account
    AND b.period // 100 >= a.year - $years_back
WHERE "window" <= $window AND bill_paid = 1
QUALIFY SUM(sign) OVER (PARTITION BY txn_id, b.utility_id, bill_id) > 0
    AND ROW_NUMBER() OVER (PARTITION BY txn_id, b.utility_id, bill_id ORDER BY sign DESC) = 1
ORDER BY period, bill_id, txn_id;
