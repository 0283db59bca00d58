-- What became of each participant's rows of the window. Grain: participant, status and disposition.
SELECT t.merchant_id AS participant, s.status, s.name, s.zh, s.en, d.name AS disposition,
    SUM(t.sign)::BIGINT AS rows, SUM(t.sign * t.money)::BIGINT AS fen
FROM control_rows t JOIN statuses s USING (status) JOIN dispositions d USING (disposition)
    JOIN participants p ON p.participant = t.merchant_id
WHERE t."window" = $date
GROUP BY ALL HAVING SUM(t.sign) <> 0 ORDER BY ALL;
