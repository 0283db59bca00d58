-- The states of a card, oldest first.
SELECT state, since, replaced_by, reason, proposer, approver, entry FROM card_states
WHERE card_id = $card ORDER BY since, entry, change;
