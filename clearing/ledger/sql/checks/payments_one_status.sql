-- Every payment has exactly one live status, and its events are of its own amount. Grain: payment.
WITH told AS (
    SELECT e.payment, COUNT(*) FILTER (WHERE e.event <> 'confirmed' AND e.fen <> p.fen) AS other_amounts
    FROM payment_events e LEFT JOIN payments p USING (payment) GROUP BY ALL),
live AS (SELECT payment, COUNT(*) AS statuses FROM payment_status GROUP BY ALL)
SELECT payment, COALESCE(l.statuses, 0) AS statuses, COALESCE(t.other_amounts, 0) AS other_amounts
FROM (SELECT payment FROM payments UNION SELECT payment FROM payment_events)
LEFT JOIN live l USING (payment) LEFT JOIN told t USING (payment)
WHERE COALESCE(l.statuses, 0) <> 1 OR COALESCE(t.other_amounts, 0) <> 0;
