-- Where the balance of each card stood after its newest debit, and what was loaded since: the next debit goes on from
-- there. Grain: card and purse.
WITH ends AS (
    SELECT card_id, purse_kind, MAX({'txn_time': txn_time, 'card_counter': card_counter, 'txn_id': txn_id,
        'balance_before': balance_before, 'balance_after': balance_after, 'loaded': loaded_so_far}) AS newest
    FROM card_moves WHERE NOT load GROUP BY ALL),
loads AS (SELECT card_id, purse_kind, MAX(loaded_so_far) AS loaded FROM card_moves GROUP BY ALL)
SELECT card_id, purse_kind, newest.txn_time, newest.card_counter, newest.txn_id, newest.balance_before,
    newest.balance_after, (l.loaded - newest.loaded)::BIGINT AS loaded
FROM ends JOIN loads l USING (card_id, purse_kind)
UNION ALL
SELECT card_id, purse_kind, txn_time, card_counter, txn_id, balance_before, balance_after, loaded
FROM earlier_card_ends ANTI JOIN (SELECT DISTINCT card_id FROM card_moves) USING (card_id);
