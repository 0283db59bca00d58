-- Accepted rows of the operating day by hour of the transaction. Grain: hour of the day and side.
SELECT EXTRACT(hour FROM txn_time) AS hour, IF(service = 'load', 'load', 'purchase') AS side,
    SUM(sign)::BIGINT AS rows, SUM(sign * amount)::BIGINT AS fen
FROM transactions
WHERE "window" = $date AND operating_day = "window" AND disposition = 1
    AND service <> 'benefit'
GROUP BY ALL ORDER BY hour, side;
