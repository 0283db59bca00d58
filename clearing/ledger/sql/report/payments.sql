-- Payments proposed for the closed window with their state now, and what was left unpaid and why. Grain: payment.
SELECT payment, participant, source, direction, fen, status AS state
FROM payment_status WHERE "window" = $date
UNION ALL
SELECT '', participant, source, IF(fen > 0, 'pay', 'collect'), ABS(fen), reason FROM unpaid WHERE "window" = $date
ORDER BY participant, source, payment;
