-- What a close claims from a fund is what transactions and corrections of the window make it owe, and has rows that
-- prove it.
-- Grain: window, fund.
WITH claimed AS (
    SELECT "window", fund, SUM(fen)::BIGINT AS fen, SUM(rows)::BIGINT AS rows FROM claims GROUP BY ALL),
owed AS (
    SELECT p."window", p.participant AS fund, -SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry JOIN windows w ON w."window" = p."window"
    WHERE j.kind IN ('batch', 'adjustment', 'dispute') AND p.kind = 'fund_receivable' GROUP BY ALL)
SELECT "window", fund, COALESCE(c.fen, 0) AS claimed_fen, COALESCE(o.fen, 0) AS owed_fen, COALESCE(c.rows, 0) AS rows
FROM claimed c FULL JOIN owed o USING ("window", fund)
WHERE COALESCE(c.fen, 0) <> COALESCE(o.fen, 0) OR c.fen <> 0 AND c.rows = 0;
