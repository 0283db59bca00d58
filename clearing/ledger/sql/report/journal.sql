-- The newest journal entry the projection holds: what a report is drawn from. Grain: one row.
SELECT sequence, kind, "at", engine, digest FROM journal ORDER BY sequence DESC LIMIT 1;
