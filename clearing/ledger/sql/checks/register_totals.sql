-- Register totals of terminals against their rows: the terminal's own counters announce, per transaction type, the rows
-- and fen its file holds. Grain: file, terminal, transaction type.
WITH kept AS (
    SELECT t.txn_id >> 32 AS file_no, t.terminal_id, t.txn_type, COUNT(*) AS rows, SUM(t.amount)::BIGINT AS fen
    FROM transactions t WHERE t.event = 0 AND t.txn_id >> 32 IN (SELECT file_no FROM register_kinds) GROUP BY ALL),
said AS (
    SELECT k.* FROM register_kinds k JOIN files f USING (file_no) WHERE f.batch > $after AND k.rows > 0)
SELECT file_no, terminal_id, txn_type, COALESCE(s.rows, 0) AS register_rows, COALESCE(k.rows, 0) AS file_rows,
    COALESCE(s.fen, 0) AS register_fen, COALESCE(k.fen, 0) AS file_fen
FROM said s FULL JOIN kept k USING (file_no, terminal_id, txn_type)
WHERE COALESCE(s.rows, 0) <> COALESCE(k.rows, 0) OR COALESCE(s.fen, 0) <> COALESCE(k.fen, 0);
