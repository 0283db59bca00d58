-- Amounts that differ from the tariff beyond the tolerance, over all windows. Grain: service and class.
SELECT service, mismatch, SUM(amounts)::BIGINT AS amounts FROM mismatches GROUP BY ALL ORDER BY ALL;
