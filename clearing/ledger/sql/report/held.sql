-- Rows held up to the business date, by days since their receipt. Grain: status.
WITH held AS (
    SELECT status, $date - received_window AS age, sign, money
    FROM control_rows WHERE disposition = 2 AND "window" <= $date)
SELECT s.name, s.zh, s.en, COALESCE(SUM(sign) FILTER (WHERE age <= 0), 0)::BIGINT AS today,
    COALESCE(SUM(sign) FILTER (WHERE age BETWEEN 1 AND 7), 0)::BIGINT AS week,
    COALESCE(SUM(sign) FILTER (WHERE age BETWEEN 8 AND 30), 0)::BIGINT AS month,
    COALESCE(SUM(sign) FILTER (WHERE age > 30), 0)::BIGINT AS older,
    SUM(sign)::BIGINT AS rows, SUM(sign * money)::BIGINT AS fen
FROM held JOIN statuses s USING (status)
GROUP BY s.status, s.name, s.zh, s.en HAVING SUM(sign) <> 0 ORDER BY s.status;
