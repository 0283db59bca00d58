-- The bank account in the ledger, up to a statement, is what the newest statement closes with; what differs is on its
-- way between notice, transfer and statement, or was never booked. Grain: bank, source of money.
WITH newest AS (
    SELECT bank, source, MAX(entry) AS entry, ARG_MAX(closing, entry) AS closing, ARG_MAX(dated, entry) AS dated
    FROM bank_statements GROUP BY ALL)
SELECT n.bank, n.source, n.dated, n.closing, -COALESCE(SUM(p.fen), 0)::BIGINT AS ledger_fen
FROM newest n LEFT JOIN postings p ON p.kind = 'bank_account' AND p.participant = n.bank AND p.source = n.source
    AND p.entry <= n.entry
GROUP BY ALL HAVING n.closing <> ledger_fen;
