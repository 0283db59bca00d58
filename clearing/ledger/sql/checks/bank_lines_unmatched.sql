-- Bank lines and answers that fit no payment as ordered and that no two persons have explained: money that nothing
-- explains, money to be returned that has not left, answers nobody has looked at; with age. Grain: line.
SELECT entry, line, bank, source, payment, direction, fen, open_fen, returning_fen, outcome, reference, since,
    (SELECT MAX("at")::DATE FROM journal) - since AS age_days
FROM open_bank_lines;
