-- The reserve proof with every term. Grain: one row.
SELECT * FROM reserve_terms;
