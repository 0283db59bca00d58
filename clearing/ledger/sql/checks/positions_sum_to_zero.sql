-- Net positions of a closed window sum to zero over all participants and sources of money.
SELECT "window", SUM(fen)::BIGINT AS fen FROM positions GROUP BY "window" HAVING SUM(fen) <> 0;
