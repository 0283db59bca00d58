-- Net positions of the closed window. Grain: participant and source of money.
SELECT participant, source, SUM(fen)::BIGINT AS fen
FROM positions WHERE "window" = $date GROUP BY ALL HAVING SUM(fen) <> 0 ORDER BY participant, source;
