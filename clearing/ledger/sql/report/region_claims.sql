-- Pooled-fund statement between regions: what the payers of the insured person's home region owe for care, by the
-- region of the institution at the home region's level. out_of_region (异地就医): the institution lies outside home;
-- null: one of the two is in no tree. Sums to the medical shares of the window's batches. Grain: payer, home, care.
WITH up AS (SELECT region, above, level FROM regions_above WHERE $date BETWEEN valid_from AND valid_to),
shares AS (
    SELECT txn_id, source AS payer, SUM(fen)::BIGINT AS fen FROM legs
    WHERE "window" = $date AND service = 'medical' AND kind = 'merchant_payable' AND source <> 0 GROUP BY ALL
    HAVING SUM(fen) <> 0),
visits AS (
    SELECT s.payer, m.region AS home, COALESCE(t.region, p.region) AS place, s.fen
    FROM shares s JOIN (
        SELECT txn_id, region::BIGINT AS region, merchant_id, terminal_id, operating_day FROM medical WHERE event = 0) m
        USING (txn_id)
    LEFT JOIN participants p ON p.participant = m.merchant_id
    LEFT JOIN terminal_regions t ON t.terminal_id = m.terminal_id AND m.operating_day BETWEEN t.valid_from AND t.valid_to),
trees AS (SELECT DISTINCT region, level FROM up WHERE region = above)
SELECT v.payer AS fund, v.home AS home_region, COALESCE(care.above, v.place) AS care_region,
    CASE WHEN h.region IS NULL OR w.region IS NULL THEN NULL ELSE own.above IS NULL END AS out_of_region,
    COUNT(*) AS rows, SUM(v.fen)::BIGINT AS fen
FROM visits v
LEFT JOIN trees h ON h.region = v.home
LEFT JOIN trees w ON w.region = v.place
LEFT JOIN up own ON own.region = v.place AND own.above = v.home
LEFT JOIN up care ON care.region = v.place AND care.level = h.level
GROUP BY ALL ORDER BY fund, home_region, care_region;
