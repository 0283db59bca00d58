-- Addenda: rows of earlier operating days that settle in this window. Grain: operating day and service.
SELECT operating_day, service, SUM(sign)::BIGINT AS rows,
    SUM(sign * money)::BIGINT AS fen, COALESCE(SUM(sign) FILTER (WHERE disposition = 1), 0)::BIGINT AS accepted_rows,
    COALESCE(SUM(sign * money) FILTER (WHERE disposition = 1), 0)::BIGINT AS accepted_fen
FROM control_rows
WHERE "window" = $date AND operating_day < "window"
GROUP BY operating_day, service HAVING SUM(sign) <> 0 ORDER BY operating_day, service;
