-- What several checks need of the segments' legs, in one pass over them. Grain: window, service, account.
SELECT "window", service, kind, participant, source, SUM(fen)::BIGINT AS fen FROM legs GROUP BY ALL;
