-- Addenda: rows of earlier operating days that settle in this window. Grain: operating day and service.
SELECT DATE '1970-01-01' + operating_day AS operating_day, service, SUM(sign)::BIGINT AS rows,
    SUM(sign * amount)::BIGINT AS fen, COALESCE(SUM(sign) FILTER (WHERE disposition = 1), 0)::BIGINT AS accepted_rows,
    COALESCE(SUM(sign * amount) FILTER (WHERE disposition = 1), 0)::BIGINT AS accepted_fen
FROM transactions
WHERE "window" = $day AND txn_time IS NOT NULL AND operating_day < "window"
GROUP BY operating_day, service HAVING SUM(sign) <> 0 ORDER BY operating_day, service;
