-- Payments at the bank that no answer or statement has settled $days days after their pay day. Grain: payment.
SELECT payment, participant, direction, fen, pay_date, status FROM payment_status
WHERE status IN ('ordered', 'accepted') AND pay_date < (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER;
