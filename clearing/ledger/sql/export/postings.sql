-- Postings by entry, window and account, in the order journals list them; memo = 1 on accounts that owe nobody.
-- Grain: journal entry, window, account.
SELECT p.entry, j.kind AS entry_kind, p."window", (k.class = 'memo')::INTEGER AS memo, k.class, p.kind, p.participant,
    p.source, SUM(p.fen)::BIGINT AS fen
FROM postings p JOIN journal j ON j.sequence = p.entry JOIN account_kinds k ON k.kind = p.kind
GROUP BY ALL HAVING SUM(p.fen) <> 0
ORDER BY p."window", p.entry, memo, k.class, p.kind, p.participant, p.source;
