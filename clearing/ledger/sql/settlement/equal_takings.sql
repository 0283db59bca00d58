-- Accepted money of a window by equal amounts: what fees per transaction are computed from. rows: accepted less taken
-- back. Grain: merchant, issuer, amounts.
SELECT merchant_id::BIGINT AS merchant, issuer, (cancel_sign * gross)::BIGINT AS gross,
    (cancel_sign * card_paid)::BIGINT AS card_paid, fund_paid::BIGINT AS fund_paid, SUM(sign)::BIGINT AS rows
FROM postable
WHERE "window" = $window AND disposition = 1 AND service <> 'benefit' AND list_contains($merchants, merchant_id::BIGINT)
GROUP BY ALL HAVING SUM(sign) <> 0 ORDER BY ALL;
