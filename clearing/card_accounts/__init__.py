"""Card accounts: what one card did, what clearing knows it should hold, and in which state it is (rules §16)."""
