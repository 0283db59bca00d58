-- The rows themselves, where they are few. Grain: transaction event.
SELECT * FROM transactions;
