-- Deliveries of the business date that were not taken. Grain: refused or repeated delivery.
SELECT file_no, file, outcome, reason, sender, service, received_at, rows, amount_fen AS fen
FROM files WHERE outcome <> 'received' AND received_window = $date ORDER BY file_no;
