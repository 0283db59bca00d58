-- What some transactions have on the accounts, corrections included. Grain: transaction and account.
-- Not by a semi-join: DuckDB 2.0.0 fails in one over many segments ("dict-surviving cache", an internal error).
SELECT txn_id, kind, participant, source, SUM(fen)::BIGINT AS fen
FROM (SELECT txn_id, kind, participant, source, fen FROM legs WHERE list_contains($txns, txn_id)
      UNION ALL SELECT txn_id, kind, participant, source, fen FROM correction_legs WHERE list_contains($txns, txn_id))
GROUP BY ALL HAVING SUM(fen) <> 0;
