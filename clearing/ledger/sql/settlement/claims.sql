-- Claims on funds in a window: concessions, medical shares, granted benefits, and what corrections changed of them.
-- Rows prove a claim; where they cancel out and money is left, every event and correction counts. Grain: fund, merchant.
WITH claims AS (
    SELECT fund, merchant_id::BIGINT AS merchant, sign * fund_paid AS fen, sign AS evidence
    FROM transit WHERE "window" = $window AND disposition = 1 AND fund_paid <> 0
    UNION ALL
    SELECT COALESCE(f.fund, m.insurer), m.merchant_id::BIGINT, m.sign * m.cancel_sign * m.pay, m.sign
    FROM medical_fund_pays m LEFT JOIN medical_funds f ON f.insurer = m.insurer AND f.fund_column = m.fund_column
    WHERE m."window" = $window AND m.disposition = 1 AND m.pay <> 0
    UNION ALL
    SELECT merchant_id::BIGINT, merchant_id::BIGINT, sign * granted, sign
    FROM benefit WHERE "window" = $window AND disposition = 1
    UNION ALL
    SELECT l.source, IF(l.kind = 'merchant_payable', l.participant, l.source), l.fen, 0
    FROM correction_legs l JOIN (SELECT entry FROM adjustments WHERE "window" = $window GROUP BY entry) a USING (entry)
    JOIN participants p ON p.participant = l.source AND p.kind = 'fund'
    WHERE l.kind IN ('merchant_payable', 'pending_load'))
SELECT fund, merchant, IF(SUM(evidence) = 0 AND SUM(fen) <> 0, COUNT(*), SUM(evidence))::BIGINT AS rows, SUM(fen)::BIGINT AS fen
FROM claims GROUP BY ALL ORDER BY ALL;
