-- Three must agree: the legs of the segments' rows, computed here in SQL from the posting templates, and the postings
-- the journal sealed. Grain: window and account; returns the accounts that differ.
WITH rows_with_legs AS (
    SELECT "window", posting_template, sign, issuer, IF(payee_known, merchant_id, 0) AS merchant_id, fund,
        amount, card_paid, overcharge, fund_paid, operator_borne, cardholder_suspense, granted,
        insurer, account_pay, cancel_sign
    FROM postable),
plain AS (
    SELECT r."window", t.kind, t.side,
        CASE t.party WHEN 'issuer' THEN r.issuer WHEN 'merchant_id' THEN r.merchant_id WHEN 'fund' THEN r.fund
            WHEN 'insurer' THEN insurer WHEN 'centre' THEN (SELECT participant FROM participants WHERE kind = 'centre') END AS participant,
        CASE t.source WHEN 'reserve' THEN 0 WHEN 'fund' THEN r.fund WHEN 'merchant_id' THEN r.merchant_id
            WHEN 'insurer' THEN insurer END AS source,
        r.sign * CASE t.amount WHEN 'amount' THEN r.amount * IF(t.template = 3, cancel_sign, 1) WHEN 'card_paid' THEN card_paid
            WHEN 'overcharge' THEN overcharge WHEN 'fund_paid' THEN fund_paid
            WHEN 'operator_borne' THEN operator_borne WHEN 'cardholder_suspense' THEN cardholder_suspense
            WHEN 'granted' THEN granted WHEN 'account_pay' THEN account_pay * cancel_sign END AS fen
    FROM rows_with_legs r JOIN posting_templates t ON r.posting_template = t.template
    WHERE t.amount NOT IN ('bill_paid', 'medical_fund_pay')),
medical_legs AS (
    SELECT m."window", t.kind, t.side,
        IF(t.party = 'medical_fund', COALESCE(f.fund, m.insurer), IF(m.payee_known, m.merchant_id, 0)) AS participant,
        COALESCE(f.fund, m.insurer) AS source,
        m.sign * m.cancel_sign * m.pay AS fen
    FROM medical_fund_pays m
    JOIN posting_templates t ON m.posting_template = t.template AND t.amount = 'medical_fund_pay'
    LEFT JOIN medical_funds f ON f.insurer = m.insurer AND f.fund_column = m.fund_column),
bill_legs AS (
    SELECT b."window", t.kind, t.side, b.utility_id::BIGINT AS participant, 0::BIGINT AS source,
        b.sign * b.bill_paid * b.bill_amount AS fen
    FROM bill_of_posted b JOIN posting_templates t ON b.posting_template = t.template AND t.amount = 'bill_paid'),
legs AS (SELECT * FROM plain UNION ALL SELECT * FROM medical_legs UNION ALL SELECT * FROM bill_legs),
owned AS (
    SELECT "window", participant, source, IF(side = 'credit', fen, -fen) AS fen,
        CASE kind WHEN 'card_side' THEN IF(own.participant IS NULL, 'counterparty_receivable', 'stored_value')
            WHEN 'card_side_load' THEN IF(own.participant IS NULL, 'counterparty_payable', 'stored_value')
            ELSE legs.kind END AS kind
    FROM legs LEFT JOIN (SELECT participant FROM participants WHERE kind = 'issuer') own USING (participant)),
from_segments AS (
    SELECT "window", kind, participant, source, SUM(fen)::BIGINT AS fen FROM owned GROUP BY ALL),
from_journal AS (
    SELECT p."window", p.kind, p.participant, p.source, SUM(p.fen)::BIGINT AS fen
    FROM postings p JOIN journal j ON j.sequence = p.entry WHERE j.kind = 'batch' GROUP BY ALL)
SELECT "window", kind, participant, source, COALESCE(s.fen, 0) AS segments_fen, COALESCE(j.fen, 0) AS journal_fen
FROM from_segments s FULL JOIN from_journal j USING ("window", kind, participant, source)
WHERE COALESCE(s.fen, 0) <> COALESCE(j.fen, 0);
