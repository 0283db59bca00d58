-- Lines of bank files that wait for a person, oldest first, with age by the newest entry.
SELECT name, bank, source, payment, direction, fen, outcome, reference, since, open_fen, returning_fen,
    (SELECT MAX("at")::DATE FROM journal) - since AS age_days
FROM open_bank_lines ORDER BY since, name;
