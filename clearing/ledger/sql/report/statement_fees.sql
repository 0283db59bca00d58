-- The fee of each merchant for the window. Grain: merchant.
SELECT merchant AS participant, ANY_VALUE(base) AS base, SUM(fen)::BIGINT AS fen
FROM fees WHERE "window" = $date GROUP BY merchant ORDER BY merchant;
