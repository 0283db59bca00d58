-- Terminals whose registers do not add up: each file's numbers begin where the file before ended, no more numbers lie
-- between first and last than were drawn, and over all files every number drawn is a row, refused or still grey.
-- Grain: terminal, file.
WITH chained AS (
    SELECT r.*, LAG(counter_end) OVER chain AS earlier_end, SUM(drawn) OVER chain AS drawn_so_far,
        SUM(rows + refused) OVER chain AS told_so_far
    FROM terminal_registers r
    WINDOW chain AS (PARTITION BY terminal_id ORDER BY journal_sequence, file_no))
SELECT terminal_id, file_no, earlier_end, counter_start, counter_end, drawn, rows, refused, grey_rows
FROM chained
WHERE counter_start <> earlier_end + 1 OR counter_end - counter_start + 1 > drawn
    OR told_so_far + grey_rows < drawn_so_far;
