"""Journeys, rentals and parking stays: what they cost in full, what the card pays, who bears the rest."""
