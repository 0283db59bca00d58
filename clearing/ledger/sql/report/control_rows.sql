-- Decision events of every service with the money that control totals count: a grant's is what it grants.
-- Grain: transaction event. A temporary view of the connection, for the relations of this folder.
CREATE TEMP VIEW control_rows AS
    SELECT *, amount AS money FROM transactions WHERE service <> 'benefit'
    UNION ALL BY NAME
    SELECT 'benefit' AS service, * EXCLUDE (benefit_id, list_id, list_line, granted), granted AS money FROM benefit;
