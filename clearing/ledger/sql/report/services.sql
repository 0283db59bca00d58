-- The window by service; money columns over accepted rows. Medical gross includes what funds and accounts paid.
-- Grain: service.
WITH rows AS (
    SELECT service, SUM(sign)::BIGINT AS rows, SUM(sign * money)::BIGINT AS amount,
        COALESCE(SUM(sign) FILTER (WHERE disposition = 1), 0)::BIGINT AS accepted_rows,
        COALESCE(SUM(sign * card_paid) FILTER (WHERE disposition = 1), 0)::BIGINT AS card_paid,
        COALESCE(SUM(sign * fund_paid) FILTER (WHERE disposition = 1), 0)::BIGINT AS fund_paid,
        COALESCE(SUM(sign * operator_borne) FILTER (WHERE disposition = 1), 0)::BIGINT AS operator_borne,
        COALESCE(SUM(sign * overcharge) FILTER (WHERE disposition = 1), 0)::BIGINT AS overcharge
    FROM control_rows WHERE "window" = $date
    GROUP BY service),
insured AS (
    SELECT 'medical' AS service,
        SUM(sign * IF(cancel = 1, -1, 1) * (fund_pay_sumamt + acct_pay + acct_mulaid_pay))::BIGINT AS fen
    FROM medical WHERE "window" = $date AND disposition = 1)
SELECT service, rows, amount, accepted_rows,
    card_paid + fund_paid + operator_borne + COALESCE(insured.fen, 0) AS gross,
    card_paid, fund_paid + COALESCE(insured.fen, 0) AS fund_paid, operator_borne, overcharge
FROM rows LEFT JOIN insured USING (service)
WHERE rows.rows <> 0 ORDER BY service;
