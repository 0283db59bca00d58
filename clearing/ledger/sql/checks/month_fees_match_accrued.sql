-- A month's fee is charged once, when the month is over, on what the closes of its windows noted, and is what its shares
-- sum to. Grain: month, merchant, schedule.
WITH accrued AS (
    SELECT LAST_DAY("window") AS "month", merchant, schedule, SUM(base)::BIGINT AS base
    FROM accrued_fees WHERE LAST_DAY("window") <= (SELECT MAX("window") FROM windows) GROUP BY ALL),
charged AS (
    SELECT "month", merchant, schedule, SUM(base)::BIGINT AS base, SUM(fee)::BIGINT AS fee,
        SUM((SELECT COALESCE(SUM(f.fen), 0) FROM fees f WHERE f.entry = m.entry AND f.level = 'month'
            AND f.month = m.month AND f.merchant = m.merchant AND f.schedule = m.schedule))::BIGINT AS fen
    FROM month_fees m GROUP BY ALL)
SELECT "month", merchant, schedule, a.base AS accrued_base, c.base AS charged_base, c.fee, c.fen
FROM accrued a FULL JOIN charged c USING ("month", merchant, schedule)
WHERE COALESCE(a.base, 0) <> COALESCE(c.base, 0) OR (a.base IS NULL) <> (c.base IS NULL) OR c.fen <> c.fee;
