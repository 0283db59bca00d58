-- Settlements and bills not compared with a tariff, over all closed windows. Grain: service and reason.
SELECT service, reason, SUM(bills)::BIGINT AS bills FROM uncovered GROUP BY ALL ORDER BY ALL;
