-- Why settlements and bills of the window were not compared. Grain: service, who settled or billed, reason, column.
SELECT service, participant, reason, "column", bills
FROM uncovered WHERE "window" = $date ORDER BY service, participant, reason, "column";
