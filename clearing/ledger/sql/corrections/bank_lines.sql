-- Lines of bank files that fit no payment, as they stand. Grain: line.
SELECT * FROM bank_line_states WHERE list_contains($names, name);
