"""Seeded simulated days: the engine and the independent auditor must find the same, row by row and fen by fen."""
