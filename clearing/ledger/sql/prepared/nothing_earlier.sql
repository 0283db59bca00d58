-- Where no day lies before, nothing is carried: what earlier days leave, without a row.
CREATE OR REPLACE TEMP VIEW earlier_picked_up AS SELECT 0::BIGINT AS source, 0::BIGINT AS fen WHERE false;
CREATE OR REPLACE TEMP VIEW earlier_held_rows AS
    SELECT 0::BIGINT AS txn_id, 0::SMALLINT AS status, NULL::DATE AS received_window, 0::BIGINT AS rows, 0::BIGINT AS fen
    WHERE false;
CREATE OR REPLACE TEMP VIEW earlier_card_runs AS
    SELECT 0::UBIGINT AS card_id, 0::UTINYINT AS purse_kind, 0::UTINYINT AS load, 0::BIGINT AS first, 0::BIGINT AS last
    WHERE false;
CREATE OR REPLACE TEMP VIEW earlier_terminal_runs AS
    SELECT 0::BIGINT AS merchant_id, 0::UBIGINT AS terminal_id, 0::BIGINT AS first, 0::BIGINT AS last WHERE false;
CREATE OR REPLACE TEMP VIEW earlier_card_ends AS
    SELECT 0::UBIGINT AS card_id, 0::UTINYINT AS purse_kind, NULL::TIMESTAMP AS txn_time, 0::BIGINT AS card_counter,
        0::BIGINT AS txn_id, 0::BIGINT AS balance_before, 0::BIGINT AS balance_after, 0::BIGINT AS loaded
    WHERE false;
