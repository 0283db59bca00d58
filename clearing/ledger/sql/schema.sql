-- The projection's tables. Everything here can be rebuilt from journal and segments. Money: BIGINT fen. Days: DATE.
CREATE TABLE journal (
    sequence BIGINT PRIMARY KEY, kind VARCHAR NOT NULL, "at" TIMESTAMP NOT NULL, engine VARCHAR NOT NULL,
    previous VARCHAR NOT NULL, digest VARCHAR NOT NULL);
CREATE TABLE participants (
    participant BIGINT PRIMARY KEY, kind VARCHAR, name_zh VARCHAR, name_en VARCHAR, price_tolerance BIGINT);
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
    share VARCHAR NOT NULL, participant BIGINT NOT NULL, fen BIGINT NOT NULL);
CREATE TABLE claims (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, fund BIGINT NOT NULL, merchant BIGINT NOT NULL, rows BIGINT NOT NULL,
    fen BIGINT NOT NULL);
CREATE TABLE positions (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, participant BIGINT NOT NULL, source BIGINT NOT NULL,
    fen BIGINT NOT NULL);
CREATE TABLE payments (
    entry BIGINT NOT NULL, "window" DATE NOT NULL, payment VARCHAR PRIMARY KEY, participant BIGINT NOT NULL,
    source BIGINT NOT NULL, direction VARCHAR NOT NULL, fen BIGINT NOT NULL, state VARCHAR NOT NULL);
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
CREATE VIEW balances AS
    SELECT "window", kind, participant, source, SUM(fen)::BIGINT AS fen
    FROM postings GROUP BY ALL HAVING SUM(fen) <> 0;
CREATE VIEW trial_balance AS
    SELECT kind, participant, source, SUM(fen)::BIGINT AS fen
    FROM postings GROUP BY ALL HAVING SUM(fen) <> 0;
