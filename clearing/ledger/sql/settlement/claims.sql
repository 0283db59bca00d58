-- Claims on funds in a window: concessions, medical shares, granted benefits. Grain: fund, merchant.
WITH claims AS (
    SELECT fund, merchant_id::BIGINT AS merchant, sign * fund_paid AS fen, sign AS evidence
    FROM transit WHERE "window" = $window AND disposition = 1 AND fund_paid <> 0
    UNION ALL
    SELECT COALESCE(f.fund, m.insurer), m.merchant_id::BIGINT, m.sign * m.cancel_sign * m.pay, m.sign
    FROM medical_fund_pays m LEFT JOIN medical_funds f ON f.insurer = m.insurer AND f.fund_column = m.fund_column
    WHERE m."window" = $window AND m.disposition = 1 AND m.pay <> 0
    UNION ALL
    SELECT merchant_id::BIGINT, merchant_id::BIGINT, sign * granted, sign
    FROM benefit WHERE "window" = $window AND disposition = 1)
SELECT fund, merchant, SUM(evidence)::BIGINT AS rows, SUM(fen)::BIGINT AS fen
FROM claims GROUP BY ALL ORDER BY ALL;
