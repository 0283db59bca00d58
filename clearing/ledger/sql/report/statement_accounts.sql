-- The window's movement on every account of merchants, utilities, agents and funds.
-- Grain: participant, account kind and source of money.
SELECT p.participant, b.kind, b.source, b.fen
FROM balances b JOIN participants p USING (participant)
WHERE b."window" = $date AND p.kind NOT IN ('centre', 'issuer', 'counterparty', 'insurer', 'sender')
ORDER BY ALL;
