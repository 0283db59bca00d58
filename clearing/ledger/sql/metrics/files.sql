-- Deliveries so far. Grain: outcome.
SELECT outcome, COUNT(*) AS files FROM files GROUP BY outcome ORDER BY outcome;
