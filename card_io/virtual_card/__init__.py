"""A complete purse card in software: files, counters, log, MACs, PIN, and removal at any byte.

It stands in for the silicon in tests, demonstration and training; everything above the card is the real thing.
"""
