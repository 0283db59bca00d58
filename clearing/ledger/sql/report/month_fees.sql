-- Fees of the month up to the date by payer and window. Grain: merchant, window.
SELECT merchant, "window", MAX(base) AS base, SUM(fen)::BIGINT AS fen FROM fees
WHERE "window" BETWEEN date_trunc('month', $date::DATE) AND $date GROUP BY ALL ORDER BY merchant, "window";
