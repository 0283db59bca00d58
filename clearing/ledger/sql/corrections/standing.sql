-- Where every dispute stands.
SELECT dispute, txn_id, step, state, fen, deadline FROM dispute_status;
