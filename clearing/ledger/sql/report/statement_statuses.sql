-- What became of each participant's rows of the window. Grain: participant, status and disposition.
SELECT t.merchant_id AS participant, s.status, s.name, s.zh, s.en, d.name AS disposition,
    SUM(t.sign)::BIGINT AS rows, SUM(t.sign * t.amount)::BIGINT AS fen
FROM transactions t JOIN statuses s USING (status) JOIN dispositions d USING (disposition)
    JOIN participants p ON p.participant = t.merchant_id
WHERE t."window" = $day
GROUP BY ALL HAVING SUM(t.sign) <> 0 ORDER BY ALL;
