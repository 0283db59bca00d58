-- What stands on bank over/short is what open lines of statements leave there. Grain: bank, source of money.
WITH booked AS (
    SELECT participant AS bank, source, SUM(fen)::BIGINT AS fen FROM postings WHERE kind = 'bank_difference' GROUP BY ALL),
lines AS (SELECT bank, source, SUM(open_fen)::BIGINT AS fen FROM open_bank_lines WHERE direction <> '' GROUP BY ALL)
SELECT bank, source, COALESCE(b.fen, 0) AS booked_fen, COALESCE(l.fen, 0) AS lines_fen
FROM booked b FULL JOIN lines l USING (bank, source) WHERE COALESCE(b.fen, 0) <> COALESCE(l.fen, 0);
