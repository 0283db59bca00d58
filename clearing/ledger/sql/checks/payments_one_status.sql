-- Every payment has exactly one live status, and its events are of its own amount. Grain: payment.
SELECT p.payment, p.fen, COUNT(s.payment) AS statuses, (
    SELECT COUNT(*) FROM payment_events e WHERE e.payment = p.payment AND e.event <> 'confirmed' AND e.fen <> p.fen)
    AS other_amounts
FROM payments p LEFT JOIN payment_status s USING (payment)
GROUP BY ALL HAVING statuses <> 1 OR other_amounts <> 0;
