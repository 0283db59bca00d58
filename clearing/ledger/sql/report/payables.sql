-- Net payable to payees of the window by source of money, what is held back included, payments apart.
-- Grain: payee and source.
SELECT p.participant, p.source, SUM(p.fen)::BIGINT AS fen
FROM postings p JOIN journal j ON j.sequence = p.entry
WHERE p."window" = $date AND p.kind IN ('merchant_payable', 'held_back') AND j.kind IN ('batch', 'close')
GROUP BY p.participant, p.source HAVING SUM(p.fen) <> 0 ORDER BY p.participant, p.source;
