-- Files of a sender and date are numbered without holes from 1. A terminal that delivers by itself has numbers of its
-- own: terminal · 2¹⁵ + number. Grain: sender, date, first number missing.
WITH numbered AS (
    SELECT sender, file_date, sequence >> 15 AS terminal, sequence & 32767 AS number,
        LAG(sequence & 32767, 1, 0) OVER (PARTITION BY sender, file_date, sequence >> 15 ORDER BY sequence) AS before
    FROM (SELECT DISTINCT sender, file_date, sequence FROM files WHERE outcome = 'received'))
SELECT sender, file_date, terminal, before + 1 AS first_missing, number - 1 AS last_missing
FROM numbered WHERE number > before + 1;
