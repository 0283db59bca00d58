-- The closing of the business date. Grain: one row when the window is closed, none while it is open.
SELECT entry, closed_at FROM windows WHERE "window" = $date;
