-- Corrections take no more than their transaction put on an account: its money stays on its own side, also after a
-- later price. Grain: corrected transaction and account.
WITH corrected AS (SELECT DISTINCT txn_id FROM correction_legs WHERE txn_id IS NOT NULL AND entry > $after),
every AS (
    SELECT txn_id, kind, participant, source, fen FROM legs WHERE txn_id IN (SELECT txn_id FROM corrected)
    UNION ALL SELECT txn_id, kind, participant, source, fen FROM correction_legs WHERE txn_id IS NOT NULL)
SELECT txn_id, kind, participant, source, SUM(fen)::BIGINT AS fen
FROM every
WHERE kind IN ('merchant_payable', 'cardholder_payable', 'cardholder_suspense', 'suspense_payable', 'pending_load',
    'refund_payable', 'provisional_credit', 'dispute_receivable', 'provisional_receivable', 'agent_receivable',
    'fund_receivable', 'held_memo', 'rejected_memo', 'load_claim')
    AND (kind <> 'agent_receivable' OR txn_id IN (SELECT txn_id FROM load))
GROUP BY ALL
HAVING SUM(fen) * IF(kind IN ('dispute_receivable', 'provisional_receivable', 'agent_receivable', 'fund_receivable',
    'held_memo', 'rejected_memo', 'load_claim'), -1, 1) < 0;
