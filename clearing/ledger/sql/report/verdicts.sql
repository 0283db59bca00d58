-- How accepted fares compare with the tariff (numbers of PriceVerdict), within the operator's tolerance (fen).
-- tolerated_fen: charged too much by no more than that. Grain: operator.
SELECT merchant_id AS participant, COALESCE(ANY_VALUE(p.price_tolerance), 0) AS price_tolerance,
    SUM(sign)::BIGINT AS rows,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 1), 0)::BIGINT AS "match",
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 2), 0)::BIGINT AS overcharge,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 3), 0)::BIGINT AS undercharge,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 4), 0)::BIGINT AS class_mismatch,
    COALESCE(SUM(sign) FILTER (WHERE price_verdict = 5), 0)::BIGINT AS unflagged_transfer,
    COALESCE(SUM(sign * overcharge) FILTER (WHERE price_verdict = 1), 0)::BIGINT AS tolerated_fen,
    SUM(sign * overcharge)::BIGINT AS overcharge_fen
FROM transit LEFT JOIN participants p ON p.participant = merchant_id
WHERE "window" = $date AND disposition = 1
GROUP BY merchant_id HAVING SUM(sign) <> 0 ORDER BY merchant_id;
