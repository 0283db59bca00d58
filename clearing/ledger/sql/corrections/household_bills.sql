-- Bills that payments of the cards of one household paid, as decided now. own: paid with the card asked for.
-- Grain: bill.
SELECT b.period, b.commodity, b.utility_id::BIGINT AS utility, b.account, b.bill_id, b.usage, b.bill_amount AS fen,
    b.txn_id, u.card_id = $card AS own, u.txn_time AS paid_at, u.amount AS payment_fen
FROM bills b JOIN utility u ON u.txn_id = b.txn_id AND u.sign = b.sign AND u.event = b.event
WHERE u.card_id IN (SELECT UNNEST($cards))
GROUP BY ALL HAVING SUM(b.sign * b.bill_paid) > 0
ORDER BY b.period, b.commodity, b.account, b.bill_id;
