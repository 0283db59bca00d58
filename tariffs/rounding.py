"""Exact integer division with a named rounding, for columns; kernels divide by the same terms (:func:`added`)."""

from __future__ import annotations

from typing import Literal

from tariffs.columns import Ints

RoundingMode = Literal["half_up", "half_even", "down", "up"]

KERNEL_ROUNDING: dict[RoundingMode, int] = {"half_up": 0, "half_even": 1, "down": 2, "up": 3}
"""How kernels are told a rounding."""

RATIO_ONE = 10_000
"""Ratios are integers in 1/10,000: this is the whole."""


def added(denominator: int, mode: RoundingMode) -> tuple[int, bool]:
    """What to add to a numerator before dividing it down, and whether a tie goes to the even neighbour instead."""
    add = {"down": 0, "half_even": 0, "half_up": denominator // 2, "up": denominator - 1}
    return add[mode], mode == "half_even"


def divide(numerator: Ints, denominator: int, mode: RoundingMode) -> Ints:
    """``numerator / denominator`` rounded to an integer, element by element.

    ``numerator`` is int64 ≥ 0 of any shape, ``denominator`` > 0; returns a new int64 array of the same shape.
    ``half_up`` sends a tie up, ``half_even`` to the even neighbour. Sums wrap above 2⁶³ − ``denominator``;
    callers bound their inputs.
    """
    if mode == "down":
        return numerator // denominator
    if mode == "up":
        return (numerator + (denominator - 1)) // denominator
    if mode == "half_up":
        # floor((2n + d) / 2d) without doubling n; for odd d the half is never met, so d // 2 is exact.
        return (numerator + denominator // 2) // denominator
    quotient = numerator // denominator
    twice_rest = 2 * (numerator - quotient * denominator)
    goes_up = (twice_rest > denominator) | ((twice_rest == denominator) & (quotient % 2 == 1))
    quotient += goes_up
    return quotient
