-- Rows still held, over all of history: what a later decision takes back is gone. Grain: transaction.
SELECT txn_id, status, received_window, SUM(rows)::BIGINT AS rows, SUM(fen)::BIGINT AS fen FROM (
    SELECT txn_id, status, received_window, rows, fen FROM earlier_held_rows
    UNION ALL
    SELECT txn_id, status, received_window, sign, sign * amount FROM transactions WHERE disposition = 2)
GROUP BY ALL HAVING SUM(rows) <> 0 OR SUM(fen) <> 0;
