-- Accounts that were ever posted to, with the first window of each. Grain: account.
SELECT k.class, p.kind, p.participant, p.source, MIN(p."window") AS first_window, k.zh, k.en, q.name_zh, q.name_en
FROM postings p JOIN account_kinds k USING (kind) LEFT JOIN participants q USING (participant)
GROUP BY ALL ORDER BY k.class, p.kind, p.participant, p.source;
