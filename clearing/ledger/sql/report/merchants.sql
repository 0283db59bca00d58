-- What each payee earned in the window and what the ledger owes it. A utility earns the bills that were paid.
-- difference = card paid + funds paid − fee − payable − held back, 0 when rows and ledger agree. Grain: payee.
WITH sales AS (
    SELECT merchant_id AS participant, SUM(sign)::BIGINT AS rows, SUM(sign * card_paid)::BIGINT AS card_paid,
        SUM(sign * fund_paid)::BIGINT AS fund_paid, SUM(sign * operator_borne)::BIGINT AS operator_borne,
        SUM(sign * overcharge)::BIGINT AS overcharge
    FROM transactions
    WHERE "window" = $date AND disposition = 1
        AND service IN ('transit', 'retail', 'medical')
    GROUP BY merchant_id
    UNION ALL
    SELECT utility_id::BIGINT, SUM(b.sign * b.bill_paid)::BIGINT,
        SUM(b.sign * b.bill_paid * b.bill_amount)::BIGINT, 0, 0, 0
    FROM bill_of_posted b JOIN posting_templates t ON t.template = b.posting_template AND t.amount = 'bill_paid'
    WHERE b."window" = $date
    GROUP BY utility_id
    UNION ALL
    SELECT merchant_id, 0, 0,
        SUM(sign * IF(cancel = 1, -1, 1) * (fund_pay_sumamt + acct_pay + acct_mulaid_pay))::BIGINT, 0, 0
    FROM medical WHERE "window" = $date AND disposition = 1
    GROUP BY merchant_id),
earned AS (
    SELECT participant, SUM(rows)::BIGINT AS rows, SUM(card_paid)::BIGINT AS card_paid,
        SUM(fund_paid)::BIGINT AS fund_paid, SUM(operator_borne)::BIGINT AS operator_borne,
        SUM(overcharge)::BIGINT AS overcharge
    FROM sales GROUP BY participant),
charged AS (
    SELECT merchant AS participant, SUM(fen)::BIGINT AS fee FROM fees WHERE "window" = $date GROUP BY merchant),
owed AS (
    SELECT participant, SUM(fen) FILTER (kind = 'merchant_payable')::BIGINT AS payable,
        SUM(fen) FILTER (kind = 'held_back')::BIGINT AS held_back
    FROM postings WHERE "window" = $date AND kind IN ('merchant_payable', 'held_back')
        AND entry NOT IN (SELECT entry FROM orders UNION SELECT entry FROM bank_files)
    GROUP BY participant)
SELECT participant, COALESCE(rows, 0) AS rows,
    COALESCE(card_paid + fund_paid + operator_borne, 0) AS gross, COALESCE(card_paid, 0) AS card_paid,
    COALESCE(fund_paid, 0) AS fund_paid, COALESCE(operator_borne, 0) AS operator_borne,
    COALESCE(overcharge, 0) AS overcharge, COALESCE(fee, 0) AS fee, COALESCE(payable, 0) AS payable,
    COALESCE(card_paid + fund_paid, 0) - COALESCE(fee, 0) - COALESCE(payable, 0) - COALESCE(held_back, 0)
        AS difference
FROM earned FULL JOIN owed USING (participant) FULL JOIN charged USING (participant)
WHERE COALESCE(rows, 0) <> 0 OR COALESCE(fee, 0) <> 0 OR COALESCE(payable, 0) <> 0
ORDER BY participant;
