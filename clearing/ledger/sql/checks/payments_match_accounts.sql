-- What payees are owed is spoken for by payments or was left unpaid with a reason at the newest close. Grain: participant, source.
WITH last AS (SELECT MAX(entry) AS entry, MAX("window") AS "window" FROM windows),
owed AS (
    SELECT participant, source, SUM(fen)::BIGINT AS fen
    FROM postings JOIN account_kinds USING (kind)
    WHERE settled AND participant NOT IN (SELECT participant FROM participants WHERE kind = 'centre')
        AND ("window" <= (SELECT "window" FROM last) OR entry IN (SELECT entry FROM orders UNION SELECT entry FROM bank_files))
    GROUP BY ALL),
spoken_for AS (
    SELECT participant, source, SUM(IF(direction = 'pay', fen, -fen))::BIGINT AS fen
    FROM payment_status
    WHERE purpose IN ('settlement', 'advance') AND (status IN ('proposed', 'approved', 'rejected', 'returned')
        OR status = 'withdrawn' AND entry > (SELECT entry FROM last))
    GROUP BY ALL),
left_unpaid AS (
    SELECT participant, source, SUM(fen)::BIGINT AS fen FROM unpaid WHERE entry = (SELECT entry FROM last) GROUP BY ALL)
SELECT participant, source, o.fen AS owed_fen, s.fen AS spoken_for_fen, u.fen AS unpaid_fen
FROM owed o FULL JOIN spoken_for s USING (participant, source) FULL JOIN left_unpaid u USING (participant, source)
WHERE participant NOT IN (SELECT participant FROM participants WHERE kind = 'centre')
    AND COALESCE(o.fen, 0) <> COALESCE(s.fen, 0) + COALESCE(u.fen, 0);
