-- Opening, debit, credit and closing of every account by month of the windows (credit positive, fen). An account has a
-- row from its first month to the last month of the ledger. Grain: month, account.
WITH moved AS (
    SELECT date_trunc('month', "window")::DATE AS month, kind, participant, source,
        SUM(-fen) FILTER (WHERE fen < 0)::BIGINT AS debit, SUM(fen) FILTER (WHERE fen > 0)::BIGINT AS credit
    FROM postings GROUP BY ALL),
months AS (SELECT DISTINCT month FROM moved),
accounts AS (SELECT kind, participant, source, MIN(month) AS first_month FROM moved GROUP BY ALL),
every_month AS (
    SELECT m.month, a.kind, a.participant, a.source, COALESCE(v.debit, 0) AS debit, COALESCE(v.credit, 0) AS credit
    FROM accounts a JOIN months m ON m.month >= a.first_month
    LEFT JOIN moved v ON v.month = m.month AND v.kind = a.kind AND v.participant = a.participant
        AND v.source = a.source),
running AS (
    SELECT *, SUM(credit - debit) OVER (PARTITION BY kind, participant, source ORDER BY month)::BIGINT AS closing
    FROM every_month)
SELECT r.month, k.class, r.kind, r.participant, r.source, (r.closing - r.credit + r.debit)::BIGINT AS opening, r.debit,
    r.credit, r.closing
FROM running r JOIN account_kinds k USING (kind)
ORDER BY r.month, r.kind, r.participant, r.source;
