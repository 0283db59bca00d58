"""What the ledger promises and how it is proved: kills, tampering, order, windows, outcomes at the door."""
