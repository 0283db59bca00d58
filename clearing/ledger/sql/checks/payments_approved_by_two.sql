-- No payment is ordered without the approval of two persons since its last order. Grain: order of a payment.
WITH ordered AS (
    SELECT payment, entry, LAG(entry, 1, 0) OVER (PARTITION BY payment ORDER BY entry) AS before
    FROM payment_events WHERE event = 'ordered')
SELECT o.payment, o.entry, COUNT(DISTINCT a.person) AS persons
FROM ordered o LEFT JOIN approvals a ON a.subject = o.payment AND a.entry < o.entry AND a.entry > o.before
GROUP BY ALL HAVING persons < 2;
