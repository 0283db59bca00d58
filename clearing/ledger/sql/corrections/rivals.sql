-- Of some rows in conflict the one that was paid: it shares counter or terminal counter and is accepted or released.
WITH mine AS (SELECT * FROM decisions WHERE txn_id IN (SELECT UNNEST($txns)) AND status = 42),
paid AS (
    SELECT a.txn_id FROM adjustments a WHERE a.template IN ('RELEASE', 'RELEASE_LOAD')
        AND NOT EXISTS (SELECT 1 FROM adjustments u WHERE u.template = 'UNDO' AND u.undoes = a.adjustment))
SELECT m.txn_id, MIN(o.txn_id)
FROM mine m JOIN decisions o ON o.card_id = m.card_id AND o.txn_id <> m.txn_id
    AND ((o.purse_kind = m.purse_kind AND o.card_counter = m.card_counter AND (o.service = 'load') = (m.service = 'load'))
         OR (o.terminal_id = m.terminal_id AND o.terminal_counter = m.terminal_counter))
WHERE o.disposition = 1 OR o.txn_id IN (SELECT txn_id FROM paid)
GROUP BY m.txn_id;
