-- Deliveries that are missing past their deadline: a sender delivers a service for every day since its first, and $days
-- days after a day its file has arrived. What the deadline has not passed is expected, not missing. Grain: sender,
-- service, day.
WITH now AS (SELECT MAX("at")::DATE AS today FROM journal),
first_days AS (
    SELECT sender, service, MIN(file_date) AS first_day, MAX(file_date) AS last_day FROM files
    WHERE outcome = 'received' GROUP BY ALL),
expected AS (
    SELECT sender, service, UNNEST(generate_series(first_day, (SELECT today FROM now) - $days::INTEGER,
        INTERVAL 1 DAY))::DATE AS file_date
    FROM first_days)
SELECT sender, service, file_date FROM expected
ANTI JOIN (SELECT DISTINCT sender, service, file_date FROM files WHERE outcome = 'received') USING (sender, service, file_date);
