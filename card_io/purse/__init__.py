"""Dialogues with a purse card: select, read, purchase, composite purchase, load, unload, prove, PIN, block."""
