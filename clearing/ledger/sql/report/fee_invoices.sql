-- Fees of the window by payer, share and earner. Grain: merchant, share, participant.
SELECT merchant, base, fee, share, participant, fen FROM fees WHERE "window" = $date
ORDER BY merchant, share, participant;
