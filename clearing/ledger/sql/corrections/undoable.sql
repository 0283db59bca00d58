-- Adjustments that no other has undone, the undoing ones left out.
SELECT * FROM adjustments a
WHERE template <> 'UNDO' AND NOT EXISTS (SELECT 1 FROM adjustments u WHERE u.template = 'UNDO' AND u.undoes = a.adjustment)
ORDER BY entry, adjustment;
