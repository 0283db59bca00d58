-- Three must agree: the legs of the segments' rows, computed in SQL from the posting templates (view legs), and the postings
-- the journal sealed. Grain: window and account; returns the accounts that differ.
WITH from_segments AS (
    SELECT "window", kind, participant, source, SUM(fen)::BIGINT AS fen FROM segment_sums GROUP BY ALL),
from_journal AS (
    SELECT p."window", p.kind, p.participant, p.source, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry WHERE j.kind = 'batch' AND p.entry > $after GROUP BY ALL)
SELECT "window", kind, participant, source, COALESCE(s.fen, 0) AS segments_fen, COALESCE(j.fen, 0) AS journal_fen
FROM from_segments s FULL JOIN from_journal j USING ("window", kind, participant, source)
WHERE COALESCE(s.fen, 0) <> COALESCE(j.fen, 0);
