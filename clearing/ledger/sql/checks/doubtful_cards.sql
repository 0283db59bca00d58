-- One card used $uses times or more at one terminal within $seconds seconds: group boarding, or misuse. Grain: card,
-- terminal, day.
WITH uses AS (
    SELECT card_id, terminal_id, operating_day, txn_time, COUNT(*) OVER (
        PARTITION BY card_id, terminal_id ORDER BY txn_time
        RANGE BETWEEN to_seconds($seconds) PRECEDING AND CURRENT ROW) AS uses
    FROM transactions
    WHERE sign = 1 AND disposition IN (1, 2) AND test_flag = 0 AND txn_time IS NOT NULL AND service <> 'benefit')
SELECT card_id, terminal_id, operating_day, MAX(uses) AS uses, MIN(txn_time) AS first_at
FROM uses WHERE uses >= $uses GROUP BY ALL;
