-- Payments proposed for the closed window. Grain: payment.
SELECT payment, participant, source, direction, fen, state
FROM payments WHERE "window" = $date ORDER BY participant, source, payment;
