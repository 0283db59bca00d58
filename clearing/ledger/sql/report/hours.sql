-- Accepted rows of the operating day by hour of the transaction. Grain: hour of the day and side.
SELECT (txn_time // 3600) % 24 AS hour, IF(service = 'load', 'load', 'purchase') AS side,
    SUM(sign)::BIGINT AS rows, SUM(sign * amount)::BIGINT AS fen
FROM transactions
WHERE "window" = $day AND operating_day = "window" AND disposition = 1
    AND service <> 'benefit'
GROUP BY ALL ORDER BY hour, side;
