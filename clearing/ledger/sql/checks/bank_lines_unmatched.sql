-- Bank lines and answers that fit no payment as ordered: a person decides. Grain: line.
SELECT entry, line, bank, source, payment, direction, fen, outcome, reference FROM bank_lines WHERE open;
