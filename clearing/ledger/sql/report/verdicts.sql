-- How accepted fares compare with the tariff (numbers of PriceVerdict). Grain: operator.
SELECT merchant_id AS participant, SUM(sign)::BIGINT AS rows,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 1), 0)::BIGINT AS "match",
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 2), 0)::BIGINT AS overcharge,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 3), 0)::BIGINT AS undercharge,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 4), 0)::BIGINT AS class_mismatch,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 5), 0)::BIGINT AS unflagged_transfer,
    SUM(sign * overcharge)::BIGINT AS overcharge_fen
FROM transit
WHERE "window" = $date AND disposition = 1
GROUP BY merchant_id HAVING SUM(sign) <> 0 ORDER BY merchant_id;
