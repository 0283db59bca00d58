-- Claims of the window by fund and payee, with the rows that prove them. Grain: fund, merchant.
SELECT fund, merchant, rows, fen FROM claims WHERE "window" = $date ORDER BY fund, merchant;
