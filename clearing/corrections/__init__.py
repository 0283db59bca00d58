"""Corrections by persons: adjustments and disputes as linked, balanced entries (docs/clearing-rules.md §14)."""
