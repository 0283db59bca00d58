"""The ledger: sealed journal and segments are the truth, ``ledger.duckdb`` is a projection of them."""
