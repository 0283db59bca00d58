-- Net payable to payees of the window by source of money. Grain: payee and source.
SELECT participant, source, SUM(fen)::BIGINT AS fen
FROM postings WHERE "window" = $date AND kind = 'merchant_payable'
GROUP BY participant, source HAVING SUM(fen) <> 0 ORDER BY participant, source;
