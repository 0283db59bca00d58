-- Legs of adjustments: adjustment, transaction, card, account, fen.
SELECT correction, txn_id, card_id, kind, participant, source, fen FROM correction_legs ORDER BY ALL;
