-- Open disputes whose deadline lies before a day.
SELECT dispute, deadline FROM dispute_status WHERE NOT closed AND deadline < $day ORDER BY dispute;
