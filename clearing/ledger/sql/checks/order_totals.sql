-- Orders tie at four levels: what each service owes a payee (rows) is the payee's order (journal), and the orders of all
-- payees of a kind and of the whole window, less fees, are what the close put into positions. Grain: level, key.
WITH services AS (
    SELECT "window", participant, SUM(fen)::BIGINT AS fen FROM segment_sums
    WHERE kind IN ('merchant_payable', 'suspense_payable') GROUP BY ALL),
orders AS (
    SELECT p."window", p.participant, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry
    WHERE j.kind = 'batch' AND p.entry > $after AND p.kind IN ('merchant_payable', 'suspense_payable') GROUP BY ALL),
settled_with AS (
    SELECT p."window", p.participant, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry JOIN account_kinds k ON k.kind = p.kind
    WHERE j.kind NOT IN ('order', 'bank', 'close') AND k.class <> 'memo' GROUP BY ALL),
payees AS (
    SELECT participant, kind FROM participants WHERE kind IN ('operator', 'merchant', 'hospital', 'utility')),
fee_of AS (
    SELECT "window", participant, SUM(fen)::BIGINT AS fee FROM (
        SELECT "window", merchant AS participant, fen FROM fees
        UNION ALL SELECT "window", participant, -fen FROM fees)
    GROUP BY ALL),
position_of AS (
    SELECT "window", participant, SUM(fen)::BIGINT AS fen FROM positions GROUP BY ALL),
paired AS (
    SELECT "window", y.kind AS payees, participant, COALESCE(o.fen, 0) - COALESCE(f.fee, 0) AS ordered,
        COALESCE(p.fen, 0) AS netted
    FROM (SELECT DISTINCT "window", participant FROM (
            SELECT "window", participant FROM settled_with UNION ALL SELECT "window", participant FROM position_of)) k
    JOIN windows USING ("window") JOIN payees y USING (participant)
    LEFT JOIN settled_with o USING ("window", participant) LEFT JOIN fee_of f USING ("window", participant)
    LEFT JOIN position_of p USING ("window", participant)),
above AS (
    SELECT CASE WHEN GROUPING(participant) = 0 THEN 'operator' WHEN GROUPING(payees) = 0 THEN 'group' ELSE 'day' END
            AS level, "window", payees, participant, SUM(ordered)::BIGINT AS below_fen, SUM(netted)::BIGINT AS above_fen
    FROM paired GROUP BY GROUPING SETS (("window", payees, participant), ("window", payees), ("window")))
SELECT 'service' AS level, "window", NULL AS payees, participant, COALESCE(s.fen, 0) AS below_fen,
    COALESCE(o.fen, 0) AS above_fen
FROM services s FULL JOIN orders o USING ("window", participant) WHERE COALESCE(s.fen, 0) <> COALESCE(o.fen, 0)
UNION ALL
SELECT level, "window", payees, participant, below_fen, above_fen FROM above WHERE below_fen <> above_fen;
