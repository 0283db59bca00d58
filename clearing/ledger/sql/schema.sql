-- The projection's tables. Everything here can be rebuilt from journal and segments. Money: BIGINT fen. Days: DATE.
CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY, kind VARCHAR NOT NULL, "at" TIMESTAMP NOT NULL, engine VARCHAR NOT NULL,
    previous VARCHAR NOT NULL, digest VARCHAR NOT NULL);
-- By what reference tables and views were made.
CREATE TABLE definitions (name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL);
CREATE TABLE participants (
    participant BIGINT PRIMARY KEY, kind VARCHAR, name_zh VARCHAR, name_en VARCHAR, price_tolerance BIGINT,
    region BIGINT);
CREATE TABLE regions (
    region BIGINT NOT NULL, parent BIGINT, level VARCHAR NOT NULL, zh VARCHAR, en VARCHAR, valid_from DATE NOT NULL,
    valid_to DATE NOT NULL);
CREATE TABLE terminal_regions (
    terminal_id UBIGINT NOT NULL, region BIGINT NOT NULL, valid_from DATE NOT NULL, valid_to DATE NOT NULL);
CREATE TABLE statuses (status SMALLINT PRIMARY KEY, name VARCHAR, zh VARCHAR, en VARCHAR);
CREATE TABLE dispositions (disposition UTINYINT PRIMARY KEY, name VARCHAR);
CREATE TABLE posting_templates (
    template UTINYINT, leg INTEGER, kind VARCHAR, party VARCHAR, source VARCHAR, amount VARCHAR, side VARCHAR);
CREATE TABLE account_kinds (
    kind VARCHAR PRIMARY KEY, class VARCHAR NOT NULL, settled BOOLEAN NOT NULL, zh VARCHAR, en VARCHAR);
CREATE TABLE medical_funds (insurer BIGINT, region BIGINT, fund_column VARCHAR, fund BIGINT);
CREATE TABLE files (
    file_no BIGINT PRIMARY KEY, entry BIGINT NOT NULL, file VARCHAR NOT NULL, outcome VARCHAR NOT NULL,
    reason VARCHAR, sender BIGINT, service VARCHAR, file_date DATE, sequence BIGINT, rows BIGINT, amount_fen BIGINT,
    received_at TIMESTAMP NOT NULL, received_window DATE NOT NULL, content_root VARCHAR NOT NULL, batch BIGINT);
CREATE TABLE terminal_registers (
    file_no BIGINT NOT NULL, terminal_id UBIGINT NOT NULL, counter_start BIGINT, counter_end BIGINT,
    drawn BIGINT NOT NULL, refused BIGINT NOT NULL, rows BIGINT NOT NULL, grey_rows BIGINT NOT NULL,
    grey_fen BIGINT NOT NULL, journal_sequence BIGINT NOT NULL, journal_digest VARCHAR NOT NULL);
CREATE TABLE register_kinds (
    file_no BIGINT NOT NULL, terminal_id UBIGINT NOT NULL, txn_type UTINYINT NOT NULL, rows BIGINT NOT NULL,
    fen BIGINT NOT NULL);
CREATE TABLE file_results (
    file_no BIGINT NOT NULL, status SMALLINT NOT NULL, disposition UTINYINT NOT NULL, rows BIGINT NOT NULL, fen BIGINT);
CREATE TABLE postings (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, kind VARCHAR NOT NULL, participant BIGINT NOT NULL,
    source BIGINT NOT NULL, fen BIGINT NOT NULL);
CREATE TABLE segments (entry BIGINT NOT NULL, name VARCHAR PRIMARY KEY, rows BIGINT NOT NULL, sha256 VARCHAR NOT NULL);
CREATE TABLE content_roots (entry BIGINT NOT NULL, "window" DATE NOT NULL, root VARCHAR NOT NULL);
CREATE TABLE windows ("window" DATE PRIMARY KEY, entry BIGINT NOT NULL, closed_at TIMESTAMP NOT NULL);
CREATE TABLE fees (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, merchant BIGINT NOT NULL, base BIGINT NOT NULL, fee BIGINT NOT NULL,
    share VARCHAR NOT NULL, participant BIGINT NOT NULL, fen BIGINT NOT NULL, schedule VARCHAR, level VARCHAR, "month" DATE);
CREATE TABLE accrued_fees (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, merchant BIGINT NOT NULL, schedule VARCHAR NOT NULL,
    issuer BIGINT NOT NULL, base BIGINT NOT NULL, card_paid BIGINT NOT NULL);
CREATE TABLE month_fees (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, "month" DATE NOT NULL, merchant BIGINT NOT NULL,
    schedule VARCHAR NOT NULL, base BIGINT NOT NULL, fee BIGINT NOT NULL);
CREATE TABLE claims (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, fund BIGINT NOT NULL, merchant BIGINT NOT NULL, rows BIGINT NOT NULL,
    fen BIGINT NOT NULL);
CREATE TABLE positions (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, participant BIGINT NOT NULL, source BIGINT NOT NULL,
    fen BIGINT NOT NULL);
CREATE TABLE payments (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, payment VARCHAR PRIMARY KEY, participant BIGINT NOT NULL,
    source BIGINT NOT NULL, direction VARCHAR NOT NULL, fen BIGINT NOT NULL, purpose VARCHAR NOT NULL,
    pay_date DATE NOT NULL, bank BIGINT NOT NULL, from_source BIGINT NOT NULL, to_source BIGINT,
    account_number VARCHAR NOT NULL, account_bank VARCHAR NOT NULL, account_name VARCHAR NOT NULL);
CREATE TABLE unpaid (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, participant BIGINT NOT NULL, source BIGINT NOT NULL,
    fen BIGINT NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE over_cap (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, participant BIGINT NOT NULL, source BIGINT NOT NULL,
    fen BIGINT NOT NULL, cap BIGINT NOT NULL);
CREATE TABLE held (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, participant BIGINT NOT NULL, source BIGINT NOT NULL,
    fen BIGINT NOT NULL, until DATE NOT NULL);
CREATE TABLE payment_events (
    entry BIGINT NOT NULL, number BIGINT NOT NULL, payment VARCHAR NOT NULL, "at" TIMESTAMP NOT NULL,
    event VARCHAR NOT NULL, fen BIGINT NOT NULL, reason VARCHAR NOT NULL, reference VARCHAR NOT NULL);
CREATE TABLE approvals (
    entry BIGINT NOT NULL, subject VARCHAR NOT NULL, person VARCHAR NOT NULL, role VARCHAR NOT NULL,
    digest VARCHAR NOT NULL);
CREATE TABLE orders (
    entry BIGINT NOT NULL, message VARCHAR PRIMARY KEY, payment_count BIGINT NOT NULL, pay_fen BIGINT NOT NULL,
    collect_fen BIGINT NOT NULL);
CREATE TABLE bank_files (
    entry BIGINT NOT NULL, file VARCHAR NOT NULL, format VARCHAR NOT NULL, sha256 VARCHAR NOT NULL,
    message VARCHAR NOT NULL, outcome VARCHAR NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE bank_statements (
    entry BIGINT NOT NULL, bank BIGINT NOT NULL, source BIGINT NOT NULL, statement VARCHAR NOT NULL,
    opening BIGINT NOT NULL, closing BIGINT NOT NULL, dated DATE);
CREATE TABLE bank_lines (
    entry BIGINT NOT NULL, line BIGINT NOT NULL, bank BIGINT, source BIGINT, payment VARCHAR NOT NULL,
    direction VARCHAR NOT NULL, fen BIGINT NOT NULL, outcome VARCHAR NOT NULL, event VARCHAR NOT NULL,
    reason VARCHAR NOT NULL, reference VARCHAR NOT NULL, booked DATE, open BOOLEAN NOT NULL);
CREATE TABLE overrides (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, "check" VARCHAR NOT NULL, rows BIGINT NOT NULL,
    person VARCHAR NOT NULL, reason VARCHAR NOT NULL);
CREATE TABLE recomputed (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, service VARCHAR NOT NULL, bills BIGINT NOT NULL,
    covered BIGINT NOT NULL, tolerated BIGINT NOT NULL, findings BIGINT NOT NULL);
CREATE TABLE uncovered (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, service VARCHAR NOT NULL, participant BIGINT NOT NULL,
    reason VARCHAR NOT NULL, "column" VARCHAR NOT NULL, bills BIGINT NOT NULL);
CREATE TABLE finding_totals (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, service VARCHAR NOT NULL, participant BIGINT NOT NULL,
    mismatch VARCHAR NOT NULL, field VARCHAR NOT NULL, amounts BIGINT NOT NULL, "over" BIGINT NOT NULL,
    "under" BIGINT NOT NULL);
CREATE TABLE findings (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, txn_id BIGINT NOT NULL, bill_no BIGINT, service VARCHAR NOT NULL,
    participant BIGINT NOT NULL, field VARCHAR NOT NULL, mismatch VARCHAR NOT NULL, payer BIGINT,
    delivered BIGINT NOT NULL, recomputed BIGINT NOT NULL, tariff VARCHAR NOT NULL, rule VARCHAR NOT NULL);
CREATE TABLE adjustments (
    entry BIGINT NOT NULL, adjustment VARCHAR PRIMARY KEY, "window" DATE NOT NULL, template VARCHAR NOT NULL,
    txn_id BIGINT, card_id UBIGINT, linked_txn_id BIGINT, undoes VARCHAR, bank_line VARCHAR, linked_line VARCHAR,
    payment VARCHAR, fen BIGINT NOT NULL, issuer BIGINT NOT NULL,
    merchant BIGINT NOT NULL, payer BIGINT NOT NULL, payee BIGINT NOT NULL, source BIGINT NOT NULL,
    reason VARCHAR NOT NULL, proposer VARCHAR NOT NULL, approver VARCHAR NOT NULL, sheet VARCHAR);
CREATE TABLE disputes (
    entry BIGINT NOT NULL, dispute VARCHAR NOT NULL, step INTEGER NOT NULL, txn_id BIGINT NOT NULL,
    "window" DATE NOT NULL, actor VARCHAR NOT NULL, "action" VARCHAR NOT NULL, code VARCHAR NOT NULL,
    state VARCHAR NOT NULL, closed BOOLEAN NOT NULL, fen BIGINT NOT NULL, template VARCHAR, deadline DATE,
    reason VARCHAR NOT NULL, proposer VARCHAR NOT NULL, approver VARCHAR NOT NULL);
CREATE TABLE correction_legs (
    entry BIGINT NOT NULL, correction VARCHAR NOT NULL, txn_id BIGINT, card_id UBIGINT, kind VARCHAR NOT NULL,
    participant BIGINT NOT NULL, source BIGINT NOT NULL, fen BIGINT NOT NULL);
CREATE TABLE card_states (
    entry BIGINT NOT NULL, change VARCHAR PRIMARY KEY, "window" DATE NOT NULL, card_id UBIGINT NOT NULL,
    state VARCHAR NOT NULL, since DATE NOT NULL, replaced_by UBIGINT, reason VARCHAR NOT NULL,
    proposer VARCHAR NOT NULL, approver VARCHAR NOT NULL);
CREATE VIEW dispute_status AS
    SELECT dispute, txn_id, state, closed, fen, deadline, FIRST("window") OVER (PARTITION BY dispute ORDER BY step) AS opened,
        "window" AS moved, step
    FROM disputes QUALIFY ROW_NUMBER() OVER (PARTITION BY dispute ORDER BY step DESC) = 1;
-- Lines of bank files that fit no payment: what of their money nothing explains yet (above 0: it came in), what of it is
-- to go back and has not left, whether somebody looked at one without money. Grain: line.
CREATE VIEW bank_line_states AS
    WITH standing AS (
        SELECT * FROM adjustments a WHERE bank_line IS NOT NULL AND template <> 'UNDO'
            AND NOT EXISTS (SELECT 1 FROM adjustments u WHERE u.template = 'UNDO' AND u.undoes = a.adjustment)),
    explained AS (
        SELECT s.bank_line AS name, SUM(l.fen)::BIGINT AS fen
        FROM standing s JOIN correction_legs l ON l.correction = s.adjustment AND l.kind = 'bank_difference' GROUP BY ALL),
    returning_ AS (
        SELECT COALESCE(s.linked_line, s.bank_line) AS name, SUM(l.fen)::BIGINT AS fen
        FROM standing s JOIN correction_legs l ON l.correction = s.adjustment AND l.kind = 'bank_return' GROUP BY ALL)
    SELECT b.entry || ':' || b.line AS name, b.* EXCLUDE (open), j."at"::DATE AS since,
        (CASE b.direction WHEN 'credit' THEN b.fen WHEN 'debit' THEN -b.fen ELSE 0 END + COALESCE(e.fen, 0))::BIGINT
            AS open_fen,
        COALESCE(r.fen, 0)::BIGINT AS returning_fen, COALESCE(n.noted, false) AS noted
    FROM (SELECT * FROM bank_lines WHERE open) b JOIN journal j ON j.sequence = b.entry
        LEFT JOIN explained e ON e.name = b.entry || ':' || b.line
        LEFT JOIN returning_ r ON r.name = b.entry || ':' || b.line
        LEFT JOIN (SELECT DISTINCT bank_line AS name, true AS noted FROM standing WHERE template = 'BANK_NOTED') n
            ON n.name = b.entry || ':' || b.line;
-- Those that wait for a person: money unexplained or on its way back, answers nobody has looked at. Grain: line.
CREATE VIEW open_bank_lines AS
    SELECT * FROM bank_line_states WHERE open_fen <> 0 OR returning_fen <> 0 OR direction = '' AND NOT noted;
CREATE VIEW balances AS
    SELECT "window", kind, participant, source, SUM(fen)::BIGINT AS fen
    FROM postings GROUP BY ALL HAVING SUM(fen) <> 0;
CREATE VIEW trial_balance AS
    SELECT kind, participant, source, SUM(fen)::BIGINT AS fen
    FROM postings GROUP BY ALL HAVING SUM(fen) <> 0;
-- The one live status of each payment: its newest event that is not a mere confirmation. Grain: payment.
CREATE VIEW payment_status AS
    SELECT p.payment, p."window", p.participant, p.source, p.direction, p.fen, p.purpose, p.pay_date,
        e.event AS status, e."at", e.entry, e.reason, e.reference
    FROM payments p JOIN payment_events e USING (payment)
    WHERE e.event <> 'confirmed'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY e.payment ORDER BY e.entry DESC, e.number DESC) = 1;
-- Windows with their state: OPEN, CLOSED, SETTLED (every payment of it is final), ABORTED (all of them withdrawn).
CREATE VIEW window_states AS
    SELECT "window", w.entry IS NOT NULL AS closed, COUNT(s.payment) AS payments,
        CASE WHEN w.entry IS NULL THEN 'OPEN'
            WHEN COUNT(s.payment) > 0 AND COUNT(s.payment) = COUNT(*) FILTER (s.status = 'withdrawn') THEN 'ABORTED'
            WHEN COUNT(s.payment) = COUNT(*) FILTER (s.status IN ('settled', 'withdrawn')) THEN 'SETTLED'
            ELSE 'CLOSED' END AS state
    FROM (SELECT "window" FROM postings UNION SELECT "window" FROM windows)
    LEFT JOIN windows w USING ("window") LEFT JOIN payment_status s USING ("window")
    GROUP BY "window", w.entry;
