"""Outpatient settlements: what funds, account, purse and person pay of a visit."""
