-- Accepted money of a window per merchant and issuer: what fees are computed from. Grain: merchant, issuer.
SELECT merchant_id::BIGINT AS merchant, issuer, SUM(sign * cancel_sign * gross)::BIGINT AS gross,
    SUM(sign * cancel_sign * card_paid)::BIGINT AS card_paid, SUM(sign * fund_paid)::BIGINT AS fund_paid
FROM postable
WHERE "window" = $window AND disposition = 1 AND service <> 'benefit'
GROUP BY ALL ORDER BY ALL;
