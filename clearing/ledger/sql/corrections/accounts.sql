-- What some transactions have on the accounts, corrections included. Grain: transaction and account.
SELECT txn_id, kind, participant, source, SUM(fen)::BIGINT AS fen
FROM (SELECT txn_id, kind, participant, source, fen FROM legs WHERE txn_id IN (SELECT UNNEST($txns))
      UNION ALL SELECT txn_id, kind, participant, source, fen FROM correction_legs WHERE txn_id IN (SELECT UNNEST($txns)))
GROUP BY ALL HAVING SUM(fen) <> 0;
