-- Settlements and bills of the window that were computed again by tariff. Grain: service.
SELECT service, bills, covered, bills - covered AS uncovered, tolerated, findings
FROM recomputed WHERE "window" = $date AND bills > 0 ORDER BY service;
