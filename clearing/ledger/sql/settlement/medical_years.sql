-- Accepted medical rows up to the window, in settlement order, of every person the window settles anything of and of
-- the members of their households, from the first year concerned less $years_back on; judged = 1: a row of the window
-- itself. A linked reversal takes its decision out. $card: only of this person, NULL = all. Grain: medical row.
WITH settled AS (
    SELECT card_id, household, year(operating_day) AS year FROM medical
    WHERE "window" = $window AND disposition = 1 AND ($card::UBIGINT IS NULL OR card_id = $card)),
persons AS (
    SELECT card_id FROM settled
    UNION
    SELECT m.card_id FROM medical m JOIN settled s ON s.household = m.household)
SELECT txn_id, "window" = $window AS judged, card_id, region, operating_day - DATE '1970-01-01' AS day, institution,
    institution_level, insured_type, visit_kind, settlement_id, cancel, amount, category_a_amt, category_b_amt,
    category_c_amt, medfee_sumamt, fulamt_ownpay_amt, overlmt_selfpay, preselfpay_amt, inscp_scp_amt, act_pay_dedc,
    hifp_pay, cvlserv_pay, hifes_pay, hifmi_pay, hifob_pay, maf_pay, oth_pay, hosp_part_amt, acct_pay, acct_mulaid_pay,
    psn_cash_pay, person_type, relation, aid, category_b_service_amt, category_b_material_amt, household, program,
    program_limit, income_class, income, income_exempt
FROM medical
WHERE "window" <= $window AND disposition = 1 AND card_id IN (SELECT card_id FROM persons)
    AND year(operating_day) >= (SELECT MIN(year) FROM settled) - $years_back
QUALIFY SUM(sign) OVER (PARTITION BY txn_id) > 0
    AND ROW_NUMBER() OVER (PARTITION BY txn_id ORDER BY sign DESC, event DESC) = 1
ORDER BY txn_time, settlement_id, cancel, txn_id;
