-- What is on its way at the bank is what the accounts in transit hold, by direction. Grain: direction.
WITH sent AS (
    SELECT direction, SUM(fen)::BIGINT AS fen FROM payment_status WHERE status IN ('ordered', 'accepted') GROUP BY ALL),
held AS (
    SELECT IF(kind = 'payment_in_transit', 'pay', 'collect') AS direction, ABS(SUM(fen))::BIGINT AS fen
    FROM postings WHERE kind IN ('payment_in_transit', 'collection_in_transit') GROUP BY ALL)
SELECT direction, COALESCE(s.fen, 0) AS sent_fen, COALESCE(h.fen, 0) AS in_transit_fen
FROM sent s FULL JOIN held h USING (direction) WHERE COALESCE(s.fen, 0) <> COALESCE(h.fen, 0);
