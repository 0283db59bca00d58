-- Money of a card's transactions that is not where it ends: suspense, held, refunds due, disputes. Grain: txn, account.
SELECT t.txn_id, kind, participant, SUM(fen)::BIGINT AS fen
FROM (SELECT txn_id, kind, participant, fen FROM legs UNION ALL SELECT txn_id, kind, participant, fen FROM correction_legs) l
JOIN (SELECT txn_id FROM decisions WHERE card_id = $card) t ON t.txn_id = l.txn_id
WHERE kind IN ('suspense_payable', 'held_memo', 'load_claim', 'cardholder_payable', 'cardholder_suspense',
    'refund_payable', 'provisional_credit', 'provisional_receivable')
GROUP BY ALL HAVING SUM(fen) <> 0 ORDER BY t.txn_id, kind;
