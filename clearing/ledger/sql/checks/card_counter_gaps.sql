-- Counters of a card that no record has shown: between two proven records of one purse and direction, numbers are
-- missing. A record that arrives later closes its gap. Grain: gap.
WITH ordered AS (
    SELECT *, LAG(last) OVER (PARTITION BY card_id, purse_kind, load ORDER BY first) AS before FROM card_runs)
SELECT card_id, purse_kind, load::INTEGER AS load, before + 1 AS first_missing, first - 1 AS last_missing,
    first - before - 1 AS missing
FROM ordered WHERE before IS NOT NULL;
