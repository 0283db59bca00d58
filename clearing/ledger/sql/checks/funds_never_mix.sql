-- Sources of money never mix: over each fund's own accounts the balance is zero but for its benefits that cards picked
-- up, which the fund owes the reserve. Grain: source of money.
WITH own AS (
    SELECT p.source, SUM(p.fen)::BIGINT AS fen FROM postings p JOIN account_kinds k ON k.kind = p.kind
    WHERE k.class <> 'memo' AND p.source <> 0 GROUP BY ALL)
SELECT source, COALESCE(o.fen, 0) AS balance_fen, COALESCE(u.fen, 0) AS picked_up_fen
FROM own o FULL JOIN picked_up u USING (source) WHERE COALESCE(o.fen, 0) + COALESCE(u.fen, 0) <> 0;
