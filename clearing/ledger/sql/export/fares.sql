-- Accepted journeys as TIDES fare transactions need them, newest decision each. Grain: transaction.
WITH journeys AS (
    SELECT * FROM transit
    QUALIFY ROW_NUMBER() OVER (PARTITION BY txn_id ORDER BY event DESC, sign DESC) = 1)
SELECT txn_id, operating_day, txn_time, amount, "mode", line, entry_station, exit_station, vehicle, terminal_id,
    transfer_flag, register_class, tariff, segment, rule, card_id, balance_after
FROM journeys WHERE disposition = 1 AND sign = 1 AND test_flag = 0
ORDER BY txn_id;
