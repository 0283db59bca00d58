-- A payment message carries the payments the journal ordered with it: number and fen. Grain: message.
WITH ordered AS (
    SELECT e.entry, COUNT(*) AS payments, SUM(p.fen)::BIGINT AS fen
    FROM payment_events e JOIN payments p USING (payment) WHERE e.event = 'ordered' GROUP BY ALL)
SELECT o.message, o.payment_count, o.pay_fen + o.collect_fen AS message_fen, COALESCE(d.payments, 0) AS payments,
    COALESCE(d.fen, 0) AS fen
FROM orders o LEFT JOIN ordered d USING (entry)
WHERE o.payment_count <> COALESCE(d.payments, 0) OR o.pay_fen + o.collect_fen <> COALESCE(d.fen, 0);
