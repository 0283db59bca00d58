-- Loads three ways, the bank's part: what agents owe beyond the loads of the last $days days has not come in. Grain:
-- agent.
WITH owed AS (
    SELECT participant AS agent, -SUM(fen)::BIGINT AS fen FROM postings WHERE kind = 'agent_receivable' GROUP BY ALL),
recent AS (
    SELECT p.participant AS agent, -SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry
    WHERE p.kind = 'agent_receivable' AND j.kind = 'batch'
        AND p."window" >= (SELECT MAX("at")::DATE FROM journal) - $days::INTEGER
    GROUP BY ALL)
SELECT agent, owed.fen AS owed_fen, GREATEST(COALESCE(recent.fen, 0), 0) AS recent_fen
FROM owed LEFT JOIN recent USING (agent) WHERE owed.fen > GREATEST(COALESCE(recent.fen, 0), 0);
