-- Paid bills up to the window, by period, of every account and year the window pays a bill of; judged = 1: paid in the
-- window itself. A linked reversal takes its payment out. Grain: bill.
WITH years AS (
    SELECT DISTINCT utility_id, account, period // 100 AS year FROM bills WHERE "window" = $window AND bill_paid = 1)
SELECT txn_id, bill_no, "window" = $window AS judged, b.utility_id, b.account, y.year, period, household_size, "usage",
    bill_amount
FROM bills b JOIN years y ON y.utility_id = b.utility_id AND y.account = b.account AND y.year = b.period // 100
WHERE "window" <= $window AND bill_paid = 1
QUALIFY SUM(sign) OVER (PARTITION BY txn_id, b.utility_id, bill_id) > 0
    AND ROW_NUMBER() OVER (PARTITION BY txn_id, b.utility_id, bill_id ORDER BY sign DESC) = 1
ORDER BY period, bill_id, txn_id;
