"""Readers: the port, its faults, recorded dialogues, and adapters for PC/SC, scripts and recordings."""
