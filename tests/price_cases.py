"""Charged bus fares against a tolerance, for engine and auditor alike (docs/clearing-rules.md §6)."""

from __future__ import annotations

TOLERATED_PRICES: list[tuple[int, dict[str, int], tuple[object, ...]]] = [
    (0, {"amount": 201}, ("OVERCHARGE", 200, 1, 0)),
    (5, {"amount": 205}, ("MATCH", 200, 5, 0)),
    (5, {"amount": 206}, ("OVERCHARGE", 200, 6, 0)),
    (5, {"amount": 195}, ("MATCH", 195, 0, 5)),
    (5, {"amount": 194}, ("UNDERCHARGE", 194, 0, 6)),
    (5, {"amount": 165}, ("UNFLAGGED_TRANSFER", 165, 0, 35)),
    (5, {"amount": 166}, ("UNDERCHARGE", 166, 0, 34)),
    (5, {"amount": 195, "card_class": 1}, ("MATCH", 195, 0, 5)),
    (40, {"amount": 160}, ("MATCH", 160, 0, 40)),
]
"""(tolerance, columns, (verdict, card_paid, overcharge, operator_borne)) of an adult on ``demo.bus``: the fare is
200, as a transfer 160."""
