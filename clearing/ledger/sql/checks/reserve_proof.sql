-- The reserve proof: stored value + benefits picked up + payables and fees not yet swept + cardholder suspense and
-- refunds = reserve bank + loads in transit + what others owe the reserve. Every kind of the reserve is named here once;
-- a new kind fails the check until somebody says which side it is on. Grain: one row with every term, when they differ.
WITH reserve AS (SELECT kind, SUM(fen)::BIGINT AS fen FROM postings WHERE source = 0 GROUP BY ALL),
terms AS (
    SELECT
        COALESCE(SUM(fen) FILTER (WHERE kind = 'stored_value'), 0)::BIGINT AS stored_value,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'merchant_payable'), 0)::BIGINT AS payables,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'suspense_payable'), 0)::BIGINT AS suspense,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'fee_income'), 0)::BIGINT AS fees_not_swept,
        COALESCE(SUM(fen) FILTER (WHERE kind IN ('cardholder_payable', 'cardholder_suspense')), 0)::BIGINT
            AS cardholders,
        COALESCE(SUM(fen) FILTER (WHERE kind IN ('counterparty_receivable', 'counterparty_payable')), 0)::BIGINT
            AS counterparties,
        COALESCE(SUM(-fen) FILTER (WHERE kind = 'agent_receivable'), 0)::BIGINT AS loads_in_transit
    FROM reserve),
picked_up AS (
    SELECT COALESCE(SUM(l.sign * l.amount), 0)::BIGINT AS benefits_picked_up
    FROM load l JOIN (SELECT DISTINCT template FROM posting_templates WHERE kind = 'pending_load' AND side = 'debit') t
        ON t.template = l.posting_template)
SELECT *, stored_value + payables + suspense + fees_not_swept + cardholders + counterparties AS owed,
    loads_in_transit + benefits_picked_up AS held
FROM terms, picked_up
WHERE stored_value + payables + suspense + fees_not_swept + cardholders + counterparties
    <> loads_in_transit + benefits_picked_up;
