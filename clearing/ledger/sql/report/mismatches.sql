-- Amounts that differ from the tariff beyond the tolerance, by class. Grain: service, participant, class, amount.
SELECT service, participant, mismatch, field, amounts, "over", "under"
FROM mismatches WHERE "window" = $date ORDER BY service, participant, mismatch, field;
