"""Service terminals on top of purse, capture and parameters: transit, medical, utility, load.

Every one of them: touch the card, settle what is grey of it, check, journal, debit, journal, open the gate.
"""
