"""Reconciliation: checks that return the bad rows, open items with owner and age, the trust horizon (DESIGN §9).

``policy`` is part of the settings that everything reads, so nothing is imported here.
"""
