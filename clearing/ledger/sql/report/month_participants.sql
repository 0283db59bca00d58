-- The month up to the date per participant and source of money: net of its closed windows, what of their payments is
-- settled or at the bank, and what waits. Grain: participant, source.
WITH netted AS (
    SELECT participant, source, SUM(fen)::BIGINT AS net_fen FROM positions
    WHERE "window" BETWEEN date_trunc('month', $date::DATE) AND $date GROUP BY ALL),
paid AS (
    SELECT participant, source,
        COALESCE(SUM(IF(direction = 'pay', fen, -fen)) FILTER (status = 'settled'), 0)::BIGINT AS settled_fen,
        COALESCE(SUM(IF(direction = 'pay', fen, -fen)) FILTER (status <> 'settled'), 0)::BIGINT AS waiting_fen
    FROM payment_status
    WHERE "window" BETWEEN date_trunc('month', $date::DATE) AND $date AND status <> 'withdrawn' GROUP BY ALL)
SELECT participant, source, COALESCE(net_fen, 0) AS net_fen, COALESCE(settled_fen, 0) AS settled_fen,
    COALESCE(waiting_fen, 0) AS waiting_fen
FROM netted FULL JOIN paid USING (participant, source)
WHERE COALESCE(net_fen, 0) <> 0 OR COALESCE(settled_fen, 0) <> 0 OR COALESCE(waiting_fen, 0) <> 0
ORDER BY participant, source;
