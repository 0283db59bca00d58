-- Positions of a closed window are the balances that transactions, their corrections and fees left in it; payments,
-- bank lines with what explains them, and memo accounts are no part.
-- Grain: window, participant, source of money.
WITH netted AS (
    SELECT p."window", p.participant, p.source, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry JOIN account_kinds k ON k.kind = p.kind
    WHERE j.kind NOT IN ('order', 'bank') AND k.class <> 'memo'
        AND p.entry NOT IN (SELECT entry FROM adjustments WHERE bank_line IS NOT NULL) GROUP BY ALL)
SELECT "window", participant, source, COALESCE(n.fen, 0) AS balance_fen, COALESCE(p.fen, 0) AS position_fen
FROM (SELECT n.* FROM netted n JOIN windows USING ("window")) n FULL JOIN positions p USING ("window", participant, source)
WHERE COALESCE(n.fen, 0) <> COALESCE(p.fen, 0);
