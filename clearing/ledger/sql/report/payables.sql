-- Net payable to payees of the window by source of money, payments apart. Grain: payee and source.
SELECT participant, source, SUM(fen)::BIGINT AS fen
FROM postings WHERE "window" = $date AND kind = 'merchant_payable'
    AND entry NOT IN (SELECT entry FROM orders UNION SELECT entry FROM bank_files)
GROUP BY participant, source HAVING SUM(fen) <> 0 ORDER BY participant, source;
