-- What several checks need of the segments' legs, in one pass over them. Grain: window, service, account.
-- A temporary table of the connection, made before the checks run.
CREATE OR REPLACE TEMP TABLE segment_sums AS
    SELECT "window", service, kind, participant, source, SUM(fen)::BIGINT AS fen FROM legs GROUP BY ALL;
