-- Open items up to the business date, with who works them and why they are open, by age. Grain: cause, participant, day.
WITH items AS (
    SELECT 'held' AS item, s.name AS cause, 'reconciler' AS owner, t.merchant_id::BIGINT AS participant,
        t.received_window AS since, SUM(t.sign)::BIGINT AS rows, SUM(t.sign * t.amount)::BIGINT AS fen
    FROM transactions t JOIN statuses s USING (status)
    WHERE t.disposition = 2 AND t."window" <= $date AND s.name <> 'GREY_RECORD' GROUP BY ALL HAVING SUM(t.sign) <> 0
    UNION ALL
    SELECT 'grey', s.name, 'reconciler', t.merchant_id::BIGINT, t.received_window, SUM(t.sign)::BIGINT,
        SUM(t.sign * t.amount)::BIGINT
    FROM transactions t JOIN statuses s USING (status)
    WHERE t.disposition = 2 AND t."window" <= $date AND s.name = 'GREY_RECORD' GROUP BY ALL HAVING SUM(t.sign) <> 0
    UNION ALL
    SELECT CASE p.kind WHEN 'suspense_payable' THEN 'suspense' WHEN 'cardholder_suspense' THEN 'suspense'
            WHEN 'cardholder_payable' THEN 'refund' WHEN 'pending_load' THEN 'pending_load'
            WHEN 'agent_receivable' THEN 'load_in_transit' ELSE 'claim' END,
        p.kind, IF(p.kind IN ('agent_receivable', 'fund_receivable', 'insurer_receivable'), 'approver', 'reconciler'),
        p.participant, MIN(p."window"), COUNT(DISTINCT p.entry), SUM(p.fen)::BIGINT
    FROM postings p
    WHERE p."window" <= $date AND p.kind IN ('suspense_payable', 'cardholder_suspense', 'cardholder_payable',
        'pending_load', 'agent_receivable', 'fund_receivable', 'insurer_receivable')
    GROUP BY ALL HAVING SUM(p.fen) <> 0
    UNION ALL
    SELECT 'payment', status, 'approver', participant, "window", COUNT(*), SUM(IF(direction = 'pay', fen, -fen))::BIGINT
    FROM payment_status
    WHERE status IN ('ordered', 'accepted', 'rejected', 'returned') AND "window" <= $date GROUP BY ALL
    UNION ALL
    SELECT 'bank_line', outcome, 'reconciler', COALESCE(bank, 0), since, COUNT(*), SUM(open_fen + returning_fen)::BIGINT
    FROM open_bank_lines GROUP BY ALL)
SELECT item, cause, owner, participant, since, $date - since AS age_days, rows, fen
FROM items ORDER BY age_days DESC, item, cause, participant;
