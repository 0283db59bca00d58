-- What the window claims from each fund and insurer, and the rows that prove it. Grain: fund or insurer.
-- difference = claim − evidence, 0 when ledger and rows agree.
WITH evidence AS (
    SELECT fund AS participant, 'ride' AS kind, sign AS rows, sign * fund_paid AS fen
    FROM transit
    WHERE "window" = $date AND disposition = 1 AND fund_paid <> 0
    UNION ALL
    SELECT merchant_id, 'grant', sign, sign * granted
    FROM benefit WHERE "window" = $date AND disposition = 1
    UNION ALL
    SELECT COALESCE(f.fund, m.insurer), 'medical', sign, sign * cancel_sign * pay
    FROM medical_fund_pays m LEFT JOIN medical_funds f ON f.insurer = m.insurer AND f.fund_column = m.fund_column
    WHERE "window" = $date AND disposition = 1 AND pay <> 0
    UNION ALL
    SELECT insurer, 'medical', sign, sign * cancel_sign * account_pay
    FROM postable
    WHERE service = 'medical' AND "window" = $date AND disposition = 1
        AND account_pay <> 0),
proven AS (
    SELECT participant, COALESCE(SUM(rows) FILTER (WHERE kind = 'ride'), 0)::BIGINT AS ride_rows,
        COALESCE(SUM(rows) FILTER (WHERE kind = 'grant'), 0)::BIGINT AS grant_rows,
        COALESCE(SUM(rows) FILTER (WHERE kind = 'medical'), 0)::BIGINT AS medical_rows,
        SUM(fen)::BIGINT AS evidence_fen
    FROM evidence GROUP BY participant),
claimed AS (
    SELECT participant, -SUM(fen)::BIGINT AS claim_fen
    FROM postings p JOIN journal j ON j.sequence = p.entry
    WHERE p."window" = $date AND p.kind IN ('fund_receivable', 'insurer_receivable') AND j.kind = 'batch'
    GROUP BY participant)
SELECT participant, COALESCE(ride_rows, 0) AS ride_rows, COALESCE(grant_rows, 0) AS grant_rows,
    COALESCE(medical_rows, 0) AS medical_rows, COALESCE(evidence_fen, 0) AS evidence_fen,
    COALESCE(claim_fen, 0) AS claim_fen, COALESCE(claim_fen, 0) - COALESCE(evidence_fen, 0) AS difference
FROM proven FULL JOIN claimed USING (participant) ORDER BY participant;
