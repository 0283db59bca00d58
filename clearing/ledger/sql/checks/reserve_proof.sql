-- The reserve proof: stored value + payables + fees not yet swept + suspense + cardholder refunds + payments in transit
-- = reserve bank + loads in transit + what others owe the reserve, benefits picked up before their fund has brought the
-- money included. Every kind of the reserve is named here once: a new kind fails the check until somebody says on which
-- side it stands. Grain: one row with every term, when the two sides differ.
WITH reserve AS (SELECT kind, SUM(fen)::BIGINT AS fen FROM postings WHERE source = 0 GROUP BY ALL),
terms AS (
    SELECT
        COALESCE(SUM(fen) FILTER (WHERE kind = 'stored_value'), 0)::BIGINT AS stored_value,
        COALESCE(SUM(fen) FILTER (WHERE kind IN ('merchant_payable', 'held_back', 'counterparty_payable')), 0)::BIGINT
            AS payables,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'suspense_payable'), 0)::BIGINT AS suspense,
        COALESCE(SUM(fen) FILTER (WHERE kind IN ('fee_income', 'own_funds', 'written_off', 'overdraft_loss')), 0)::BIGINT
            AS fees_not_swept,
        COALESCE(SUM(fen) FILTER (WHERE kind IN ('cardholder_payable', 'cardholder_suspense', 'refund_payable',
            'provisional_credit', 'card_deposit')), 0)::BIGINT AS cardholders,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'payment_in_transit'), 0)::BIGINT AS payments_in_transit,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'bank_difference'), 0)::BIGINT AS bank_over,
        COALESCE(SUM(-fen) FILTER (WHERE kind = 'bank_account'), 0)::BIGINT AS bank,
        COALESCE(SUM(-fen) FILTER (WHERE kind = 'agent_receivable'), 0)::BIGINT AS loads_in_transit,
        COALESCE(SUM(-fen) FILTER (WHERE kind IN ('counterparty_receivable', 'dispute_receivable',
            'provisional_receivable', 'overdraft', 'collection_in_transit')), 0)::BIGINT AS due,
        COALESCE(SUM(fen) FILTER (WHERE kind = 'between_sources'), 0)::BIGINT AS brought_by_funds
    FROM reserve),
picked_up AS (
    SELECT COALESCE(SUM(l.sign * l.amount), 0)::BIGINT AS benefits_picked_up
    FROM load l JOIN (SELECT DISTINCT template FROM posting_templates WHERE kind = 'pending_load' AND side = 'debit') t
        ON t.template = l.posting_template),
sides AS (
    SELECT *, stored_value + payables + suspense + fees_not_swept + cardholders + payments_in_transit + bank_over
            AS owed,
        bank + loads_in_transit + due + benefits_picked_up - brought_by_funds AS held
    FROM terms, picked_up)
SELECT * FROM sides WHERE owed <> held;
