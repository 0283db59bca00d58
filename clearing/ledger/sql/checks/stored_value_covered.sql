-- An issuer's cards have never spent more than was loaded: below zero, opening balances were not taken over, or loads
-- are missing. Grain: issuer.
SELECT participant AS issuer, SUM(fen)::BIGINT AS fen FROM postings WHERE kind = 'stored_value'
GROUP BY ALL HAVING SUM(fen) < 0;
