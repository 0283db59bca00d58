-- Accepted medical rows up to the window, in settlement order, of every person and year the window settles anything of;
-- judged = 1: a row of the window itself. A linked reversal takes its decision out. Grain: medical row.
WITH years AS (
    SELECT DISTINCT card_id, year(operating_day) AS year FROM medical WHERE "window" = $window AND disposition = 1)
SELECT txn_id, "window" = $window AS judged, m.card_id, region, y.year, operating_day - DATE '1970-01-01' AS day,
    institution_level, insured_type, cancel, amount, category_a_amt, category_b_amt, category_c_amt, medfee_sumamt,
    fulamt_ownpay_amt, overlmt_selfpay, preselfpay_amt, inscp_scp_amt, act_pay_dedc, hifp_pay, cvlserv_pay, hifes_pay,
    hifmi_pay, hifob_pay, maf_pay, oth_pay, hosp_part_amt, acct_pay, acct_mulaid_pay, psn_cash_pay
FROM medical m JOIN years y ON y.card_id = m.card_id AND y.year = year(m.operating_day)
WHERE "window" <= $window AND disposition = 1
QUALIFY SUM(sign) OVER (PARTITION BY txn_id) > 0
    AND ROW_NUMBER() OVER (PARTITION BY txn_id ORDER BY sign DESC, event DESC) = 1
ORDER BY txn_time, settlement_id, cancel, txn_id;
