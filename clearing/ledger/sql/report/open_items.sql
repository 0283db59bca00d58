-- Open items up to the business date, with who works them and why they are open, by age. Grain: cause, participant, day.
-- A held row is open with what corrections have left of it; money on an account is as old as the oldest window that is
-- needed to cover what stands, counting from the newest one back (what came first went first).
WITH held AS (
    SELECT t.*, s.name, COALESCE(w.fen, 0) AS moved_on
    FROM transactions t JOIN statuses s USING (status)
    LEFT JOIN (SELECT txn_id, SUM(fen)::BIGINT AS fen FROM moved_on WHERE "window" <= $date GROUP BY txn_id) w USING (txn_id)
    WHERE t.disposition = 2 AND t."window" <= $date),
waiting AS (
    SELECT kind, participant, "window", SUM(fen)::BIGINT AS fen FROM postings
    WHERE "window" <= $date AND kind IN ('suspense_payable', 'cardholder_suspense', 'cardholder_payable',
        'pending_load', 'agent_receivable', 'fund_receivable', 'insurer_receivable')
    GROUP BY ALL),
standing AS (SELECT kind, participant, SUM(fen)::BIGINT AS fen FROM waiting GROUP BY ALL HAVING SUM(fen) <> 0),
added AS (
    SELECT w.kind, w.participant, w."window", s.fen AS stands, GREATEST(w.fen * sign(s.fen), 0) AS came,
        SUM(GREATEST(w.fen * sign(s.fen), 0)) OVER (PARTITION BY w.kind, w.participant ORDER BY w."window" DESC) AS so_far
    FROM waiting w JOIN standing s USING (kind, participant)),
aged AS (
    SELECT kind, participant, stands, MIN("window") AS since FROM added
    WHERE came > 0 AND so_far - came < ABS(stands) GROUP BY ALL),
items AS (
    SELECT IF(name = 'GREY_RECORD', 'grey', 'held') AS item, name AS cause, 'reconciler' AS owner,
        merchant_id::BIGINT AS participant, received_window AS since, SUM(sign)::BIGINT AS rows,
        SUM(sign * (amount - moved_on))::BIGINT AS fen
    FROM held WHERE moved_on < amount OR amount = 0 GROUP BY ALL HAVING SUM(sign) <> 0
    UNION ALL
    SELECT CASE a.kind WHEN 'suspense_payable' THEN 'suspense' WHEN 'cardholder_suspense' THEN 'suspense'
            WHEN 'cardholder_payable' THEN 'refund' WHEN 'pending_load' THEN 'pending_load'
            WHEN 'agent_receivable' THEN 'load_in_transit' ELSE 'claim' END,
        a.kind, IF(a.kind IN ('agent_receivable', 'fund_receivable', 'insurer_receivable'), 'approver', 'reconciler'),
        a.participant, a.since, COUNT(DISTINCT p.entry), a.stands
    FROM aged a JOIN postings p ON p.kind = a.kind AND p.participant = a.participant
        AND p."window" >= a.since AND p."window" <= $date
    GROUP BY ALL
    UNION ALL
    SELECT 'payment', status, 'approver', participant, "window", COUNT(*), SUM(IF(direction = 'pay', fen, -fen))::BIGINT
    FROM payment_status
    WHERE status IN ('ordered', 'accepted', 'rejected', 'returned') AND "window" <= $date GROUP BY ALL
    UNION ALL
    SELECT 'bank_line', outcome, 'reconciler', COALESCE(bank, 0), since, COUNT(*), SUM(open_fen + returning_fen)::BIGINT
    FROM open_bank_lines GROUP BY ALL)
SELECT item, cause, owner, participant, since, $date - since AS age_days, rows, fen
FROM items ORDER BY age_days DESC, item, cause, participant;
