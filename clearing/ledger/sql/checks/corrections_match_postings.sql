-- The legs of an adjustment or dispute entry sum to its postings. Grain: entry and account.
WITH of_legs AS (
    SELECT entry, kind, participant, source, SUM(fen)::BIGINT AS fen FROM correction_legs GROUP BY ALL),
of_journal AS (
    SELECT p.entry, p.kind, p.participant, p.source, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry WHERE j.kind IN ('adjustment', 'dispute') GROUP BY ALL)
SELECT entry, kind, participant, source, COALESCE(l.fen, 0) AS legs_fen, COALESCE(j.fen, 0) AS journal_fen
FROM of_legs l FULL JOIN of_journal j USING (entry, kind, participant, source)
WHERE COALESCE(l.fen, 0) <> COALESCE(j.fen, 0);
