-- Roll-up by region at every level of the tree: rows accepted and fen owed to payees, where the terminal stands, else
-- its merchant. What stands above a level or nowhere is the line without region, so each level sums to the whole:
-- the merchant_payable of the window's batches. Grain: level, region.
WITH up AS (SELECT region, above, level FROM regions_above WHERE $date BETWEEN valid_from AND valid_to),
earned AS (
    SELECT txn_id, SUM(fen) FILTER (source = 0) AS card_fen, SUM(fen) FILTER (source <> 0) AS fund_fen
    FROM legs WHERE "window" = $date AND kind = 'merchant_payable' GROUP BY ALL),
decided AS (
    SELECT txn_id, SUM(sign) AS rows FROM transactions
    WHERE "window" = $date AND disposition = 1 AND service IN ('transit', 'retail', 'medical', 'utility') GROUP BY ALL),
placed AS (
    SELECT COALESCE(t.region, p.region) AS region, x.rows, COALESCE(e.card_fen, 0) AS card_fen,
        COALESCE(e.fund_fen, 0) AS fund_fen
    FROM decided x FULL JOIN earned e USING (txn_id)
    JOIN (SELECT txn_id, merchant_id, terminal_id, operating_day FROM transactions WHERE event = 0) o USING (txn_id)
    LEFT JOIN participants p ON p.participant = o.merchant_id
    LEFT JOIN terminal_regions t ON t.terminal_id = o.terminal_id AND o.operating_day BETWEEN t.valid_from AND t.valid_to),
money AS (
    SELECT region, COALESCE(SUM(rows), 0)::BIGINT AS rows, SUM(card_fen)::BIGINT AS card_fen,
        SUM(fund_fen)::BIGINT AS fund_fen
    FROM placed GROUP BY ALL),
levels AS (
    SELECT UNNEST(['city', 'county', 'town', 'village']) AS level, UNNEST([1, 2, 3, 4]) AS depth)
SELECT l.level, u.above AS region, n.zh, n.en, SUM(m.rows)::BIGINT AS rows, SUM(m.card_fen)::BIGINT AS card_fen,
    SUM(m.fund_fen)::BIGINT AS fund_fen, SUM(m.card_fen + m.fund_fen)::BIGINT AS payable_fen
FROM money m CROSS JOIN levels l
LEFT JOIN up u ON u.region = m.region AND u.level = l.level
LEFT JOIN regions n ON n.region = u.above AND $date BETWEEN n.valid_from AND n.valid_to
WHERE l.level IN (SELECT level FROM regions WHERE $date BETWEEN valid_from AND valid_to)
GROUP BY l.depth, l.level, u.above, n.zh, n.en ORDER BY l.depth, u.above NULLS LAST;
