-- Benefits of a fund that cards picked up, over all of history. Grain: source of money.
SELECT source, SUM(fen)::BIGINT AS fen
FROM (SELECT source, fen FROM earlier_picked_up UNION ALL SELECT source, fen FROM picked_up)
GROUP BY ALL;
