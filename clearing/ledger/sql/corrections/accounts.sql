-- What some transactions have on the accounts, corrections included. Grain: transaction and account.
SELECT txn_id, kind, participant, source, SUM(fen)::BIGINT AS fen
FROM (SELECT txn_id, kind, participant, source, fen FROM legs WHERE list_contains($txns, txn_id)
      UNION ALL SELECT txn_id, kind, participant, source, fen FROM correction_legs WHERE list_contains($txns, txn_id))
GROUP BY ALL HAVING SUM(fen) <> 0;
