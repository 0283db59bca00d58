-- Imbalance, oldest held receipt, newest entry and batch, newest sequence, newest closed window with its time, oldest
-- window with postings that is not closed. Grain: one row.
WITH held AS (
    SELECT txn_id >> 32 AS file_no FROM transactions WHERE disposition = 2 GROUP BY txn_id HAVING SUM(sign) > 0)
SELECT
    (SELECT COALESCE(SUM(ABS(fen)), 0)::BIGINT
     FROM (SELECT SUM(fen) AS fen FROM postings GROUP BY entry, "window")) AS imbalance_fen,
    (SELECT MIN(received_at) FROM files WHERE file_no IN (SELECT file_no FROM held)) AS oldest_held_at,
    (SELECT ARG_MAX("at", sequence) FROM journal) AS newest_at,
    (SELECT ARG_MAX("at", sequence) FROM journal WHERE kind = 'batch') AS newest_batch_at,
    (SELECT COALESCE(MAX(sequence), 0) FROM journal) AS projected,
    (SELECT MAX("window") FROM windows) AS closed_window,
    (SELECT ARG_MAX(closed_at, "window") FROM windows) AS closed_at,
    (SELECT MIN("window") FROM postings ANTI JOIN windows USING ("window")) AS open_window;
