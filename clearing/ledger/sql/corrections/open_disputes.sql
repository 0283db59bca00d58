-- Open disputes by age, with whose card and merchant they are about. Grain: dispute.
SELECT s.dispute, s.txn_id, s.state, s.fen, s.deadline, s.opened, d.issuer, d.merchant_id AS merchant,
    date_diff('day', s.opened, (SELECT MAX("window") FROM postings)) AS age_days
FROM dispute_status s JOIN decisions d USING (txn_id) WHERE NOT s.closed ORDER BY s.opened, s.dispute;
