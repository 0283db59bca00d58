-- Views over the segments. service_rows: one row per decision event of every service, the common columns and, of some
-- services, what the posting templates look at.
CREATE OR REPLACE VIEW service_rows AS
    SELECT 'transit' AS service, COLUMNS(t.* EXCLUDE ("mode", line, entry_station, exit_station, entry_time, vehicle,
        direction, transfer_flag, incomplete, card_class, gross_fare, distance_m, duration_s)) FROM transit t
    UNION ALL BY NAME SELECT 'retail' AS service, * FROM retail
    UNION ALL BY NAME SELECT 'utility' AS service, * FROM utility
    UNION ALL BY NAME SELECT 'load' AS service, * EXCLUDE (benefit_id) FROM load
    UNION ALL BY NAME SELECT 'benefit' AS service, * EXCLUDE (benefit_id, list_id, list_line) FROM benefit
    UNION ALL BY NAME SELECT 'medical' AS service, * EXCLUDE (region, institution, institution_level, insured_type,
        visit_kind, settlement_id, cancel, category_a_amt, category_b_amt, category_c_amt,
        medfee_sumamt, fulamt_ownpay_amt, overlmt_selfpay, preselfpay_amt, inscp_scp_amt, act_pay_dedc, hifp_pay, cvlserv_pay, hifes_pay, hifmi_pay, hifob_pay, maf_pay, oth_pay,
        hosp_part_amt, fund_pay_sumamt, psn_part_amt, acct_pay, acct_mulaid_pay, psn_cash_pay, person_type, relation,
        aid, category_b_service_amt, category_b_material_amt, household, program, program_limit, income_class, income,
        income_exempt), region AS medical_region, acct_pay + acct_mulaid_pay AS account_pay,
        IF(cancel = 1, -1, 1) AS cancel_sign FROM medical;

-- One row per decision event of every service, common columns only.
CREATE OR REPLACE VIEW transactions AS
    SELECT * EXCLUDE (granted, medical_region, account_pay, cancel_sign) FROM service_rows;

-- The newest decision of each transaction: reversed ones are gone.
CREATE OR REPLACE VIEW decisions AS
    SELECT * FROM transactions
    QUALIFY ROW_NUMBER() OVER (PARTITION BY txn_id ORDER BY event DESC, sign DESC) = 1;

-- What the posting templates look at, one row per decision event. Grain: transaction event.
CREATE OR REPLACE VIEW postable AS
    SELECT r.* EXCLUDE (medical_region, cancel_sign), IF(r.service = 'medical', COALESCE(f.insurer, 0), NULL) AS insurer,
        COALESCE(r.cancel_sign, 1) AS cancel_sign, p.participant IS NOT NULL AS payee_known
    FROM service_rows r LEFT JOIN (SELECT DISTINCT insurer, region FROM medical_funds) f ON f.region = r.medical_region
    LEFT JOIN participants p ON p.participant = r.merchant_id;

-- What each fund pays of a settlement. Grain: decision event of medical, fund.
CREATE OR REPLACE VIEW medical_fund_pays AS
    SELECT m.*, COALESCE(f.insurer, 0) AS insurer, IF(m.cancel = 1, -1, 1) AS cancel_sign,
        p.participant IS NOT NULL AS payee_known
    FROM (FROM medical UNPIVOT (pay FOR fund_column IN
        (hifp_pay, cvlserv_pay, hifes_pay, hifmi_pay, hifob_pay, maf_pay, oth_pay))) m
    LEFT JOIN (SELECT DISTINCT insurer, region FROM medical_funds) f ON f.region = m.region
    LEFT JOIN participants p ON p.participant = m.merchant_id;

CREATE OR REPLACE VIEW bill_of_posted AS
    SELECT b.*, u.posting_template
    FROM bills b JOIN utility u ON u.txn_id = b.txn_id AND u.sign = b.sign AND u.event = b.event;

-- What every decision event posts, by the posting templates. Grain: transaction event and leg; fen, credits positive.
CREATE OR REPLACE VIEW legs AS
    WITH rows_with_legs AS (
        SELECT txn_id, service, "window", posting_template, sign, issuer, IF(payee_known, merchant_id, 0) AS merchant_id, fund,
            amount, card_paid, overcharge, fund_paid, operator_borne, cardholder_suspense, granted,
            insurer, account_pay, cancel_sign
        FROM postable),
    plain AS (
        SELECT r.txn_id, r.service, r."window", t.kind, t.side,
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
        SELECT m.txn_id, 'medical' AS service, m."window", t.kind, t.side,
            IF(t.party = 'medical_fund', COALESCE(f.fund, m.insurer), IF(m.payee_known, m.merchant_id, 0)) AS participant,
            COALESCE(f.fund, m.insurer) AS source,
            m.sign * m.cancel_sign * m.pay AS fen
        FROM medical_fund_pays m
        JOIN posting_templates t ON m.posting_template = t.template AND t.amount = 'medical_fund_pay'
        LEFT JOIN medical_funds f ON f.insurer = m.insurer AND f.fund_column = m.fund_column),
    bill_legs AS (
        SELECT b.txn_id, 'utility' AS service, b."window", t.kind, t.side, b.utility_id::BIGINT AS participant, 0::BIGINT AS source,
            b.sign * b.bill_paid * b.bill_amount AS fen
        FROM bill_of_posted b JOIN posting_templates t ON b.posting_template = t.template AND t.amount = 'bill_paid'),
    every_leg AS (SELECT * FROM plain UNION ALL SELECT * FROM medical_legs UNION ALL SELECT * FROM bill_legs)
    SELECT txn_id, service, "window", participant, source, IF(side = 'credit', fen, -fen) AS fen,
        CASE kind WHEN 'card_side' THEN IF(own.participant IS NULL, 'counterparty_receivable', 'stored_value')
            WHEN 'card_side_load' THEN IF(own.participant IS NULL, 'counterparty_payable', 'stored_value')
            ELSE every_leg.kind END AS kind
    FROM every_leg LEFT JOIN (SELECT participant FROM participants WHERE kind = 'issuer') own USING (participant);

-- What corrections have moved on of held rows: out of suspense, or off the memo of what was not proven. Grain: row, window.
CREATE OR REPLACE VIEW moved_on AS
    WITH correction_windows AS (
        SELECT DISTINCT entry, "window" FROM adjustments UNION SELECT DISTINCT entry, "window" FROM disputes)
    SELECT c.txn_id, w."window", SUM(IF(c.kind = 'suspense_payable', -c.fen, c.fen))::BIGINT AS fen
    FROM correction_legs c JOIN correction_windows w USING (entry)
    WHERE c.txn_id IS NOT NULL AND c.kind IN ('suspense_payable', 'held_memo', 'load_claim') GROUP BY ALL;

-- Every amount that differs from its tariff beyond the tolerance: charged fares as decided, settlements and bills as
-- closed windows found them. over, under: fen too much and too little (usage: thousandths); what a journey was charged
-- too little is not told. Grain: window, service, participant, class, amount.
CREATE OR REPLACE VIEW mismatches AS
    SELECT "window", 'transit' AS service, merchant_id::BIGINT AS participant,
        CASE price_verdict WHEN 2 THEN 'OVERCHARGE' WHEN 3 THEN 'UNDERCHARGE' WHEN 4 THEN 'CLASS_MISMATCH'
            ELSE 'UNFLAGGED_TRANSFER' END AS mismatch,
        'amount' AS field, SUM(sign)::BIGINT AS amounts, SUM(sign * overcharge)::BIGINT AS "over",
        NULL::BIGINT AS "under"
    FROM transit WHERE disposition = 1 AND price_verdict >= 2
    GROUP BY ALL HAVING SUM(sign) <> 0
    UNION ALL
    SELECT "window", service, participant, mismatch, field, amounts, "over", "under" FROM finding_totals;

-- Benefits of a fund that cards picked up. Grain: source of money.
CREATE OR REPLACE VIEW picked_up AS
    SELECT l.fund::BIGINT AS source, SUM(l.sign * l.amount)::BIGINT AS fen
    FROM load l JOIN (SELECT DISTINCT template FROM posting_templates WHERE kind = 'pending_load' AND side = 'debit') t
        ON t.template = l.posting_template
    GROUP BY ALL;

-- Every region with those above it, itself included, for as long as each step upwards holds. Grain: region, above, dates.
CREATE OR REPLACE VIEW regions_above AS
    WITH RECURSIVE up AS (
        SELECT region, region AS above, level, parent, valid_from, valid_to FROM regions
        UNION ALL
        SELECT up.region, r.region, r.level, r.parent, GREATEST(up.valid_from, r.valid_from), LEAST(up.valid_to, r.valid_to)
        FROM up JOIN regions r ON r.region = up.parent AND r.valid_from <= up.valid_to AND up.valid_from <= r.valid_to)
    SELECT region, above, level, valid_from, valid_to FROM up;

-- What the reserve owes and holds, term by term; every kind of the reserve is named once. Grain: one row.
CREATE OR REPLACE VIEW reserve_terms AS
    WITH reserve AS (SELECT kind, SUM(fen)::BIGINT AS fen FROM postings WHERE source = 0 GROUP BY ALL),
    terms AS (
        SELECT
            COALESCE(SUM(fen) FILTER (WHERE kind = 'stored_value'), 0)::BIGINT AS stored_value,
            COALESCE(SUM(fen) FILTER (WHERE kind IN ('merchant_payable', 'held_back', 'counterparty_payable')), 0)::BIGINT
                AS payables,
            COALESCE(SUM(fen) FILTER (WHERE kind = 'suspense_payable'), 0)::BIGINT AS suspense,
            COALESCE(SUM(fen) FILTER (WHERE kind IN ('fee_income', 'own_funds', 'written_off', 'overdraft_loss',
                'bank_interest')), 0)::BIGINT
                AS fees_not_swept,
            COALESCE(SUM(fen) FILTER (WHERE kind IN ('cardholder_payable', 'cardholder_suspense', 'refund_payable',
                'provisional_credit', 'card_deposit')), 0)::BIGINT AS cardholders,
            COALESCE(SUM(fen) FILTER (WHERE kind = 'payment_in_transit'), 0)::BIGINT AS payments_in_transit,
            COALESCE(SUM(fen) FILTER (WHERE kind IN ('bank_difference', 'bank_return')), 0)::BIGINT AS bank_over,
            COALESCE(SUM(-fen) FILTER (WHERE kind = 'bank_account'), 0)::BIGINT AS bank,
            COALESCE(SUM(-fen) FILTER (WHERE kind = 'agent_receivable'), 0)::BIGINT AS loads_in_transit,
            COALESCE(SUM(-fen) FILTER (WHERE kind IN ('counterparty_receivable', 'dispute_receivable',
                'provisional_receivable', 'overdraft', 'collection_in_transit')), 0)::BIGINT AS due,
            COALESCE(SUM(fen) FILTER (WHERE kind = 'between_sources'), 0)::BIGINT AS brought_by_funds
        FROM reserve),
    picked AS (SELECT COALESCE(SUM(fen), 0)::BIGINT AS benefits_picked_up FROM picked_up),
    sides AS (
        SELECT *, stored_value + payables + suspense + fees_not_swept + cardholders + payments_in_transit + bank_over
                AS owed,
            bank + loads_in_transit + due + benefits_picked_up - brought_by_funds AS held
        FROM terms, picked)
    SELECT * FROM sides;
