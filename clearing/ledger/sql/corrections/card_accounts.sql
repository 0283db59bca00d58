-- What corrections of a card itself moved.
SELECT kind, participant, source, SUM(fen)::BIGINT AS fen FROM correction_legs
WHERE card_id = $card AND txn_id IS NULL GROUP BY ALL HAVING SUM(fen) <> 0;
