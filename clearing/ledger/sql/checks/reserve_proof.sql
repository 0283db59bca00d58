-- The reserve proof: stored value + payables + fees not yet swept + suspense + cardholder refunds + payments in transit
-- = reserve bank + loads in transit + what others owe the reserve, benefits picked up before their fund has brought the
-- money included. Every kind of the reserve is named here once: a new kind fails the check until somebody says on which
-- side it stands. Grain: one row with every term, when the two sides differ.
SELECT * FROM reserve_terms WHERE owed <> held;
