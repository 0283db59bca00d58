"""Steps and slopes over a quantity: the arithmetic behind bands, blocks and marginal discounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Fen, PositiveQuantity, Quantity, Strict
from tariffs.rounding import RATIO_ONE, RoundingMode, divide

RoundTo = Annotated[int, Field(strict=True, ge=1, le=100_000)]
"""Fen a share is rounded to a multiple of: 10 for jiao, 100 for yuan."""


class Edged(Protocol):
    """A row of a scale: it reaches up to and including ``up_to``; None = without end."""

    @property
    def up_to(self) -> int | None: ...


def upper_edges(rows: Sequence[Edged], path: str, *, open_end: bool) -> list[int]:
    """The finite upper edges of a scale, checked.

    Raises ParameterError unless they rise strictly and only the last row has no end. With ``open_end=False``
    something else continues the scale, and every row must have an end.
    """
    edges: list[int] = []
    for index, row in enumerate(rows):
        place = f"{path}[{index}].up_to"
        last = index == len(rows) - 1
        if row.up_to is None:
            if not last or not open_end:
                raise ParameterError(place, None, "only the last row is open, and none before a `beyond`")
            break
        if last and open_end:
            raise ParameterError(place, row.up_to, "leave the last row open: beyond it rows would be lost")
        if row.up_to <= (edges[-1] if edges else -1):
            raise ParameterError(place, row.up_to, "edges must rise strictly: bands overlap here")
        edges.append(row.up_to)
    return edges


def division_by(divisor: int) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``x * multiplier >> shift == x // divisor`` for every 0 ≤ x < 2³¹."""
    bits = max(divisor - 1, 1).bit_length()
    return (1 << (31 + bits)) // divisor + 1, 31 + bits


def share_of(amount: Ints, per_10000: int | Ints, to: int, mode: RoundingMode) -> Ints:
    """``per_10000`` / 10,000 of each ``amount`` (int64 fen ≥ 0), rounded once, to a multiple of ``to`` fen."""
    share = divide(amount * per_10000, RATIO_ONE * to, mode)
    if to != 1:
        share *= to
    return share


def parts_between(quantity: Ints, lower: int, upper: int | None) -> Ints:
    """The part of each ``quantity`` (int64 ≥ 0) that lies above ``lower`` and up to ``upper``."""
    above = np.maximum(quantity, lower)
    if upper is not None:
        np.minimum(above, upper, out=above)
    above -= lower
    return above


class MarginalBand(Strict):
    """``add`` fen for each started ``per_started`` of the part inside the band."""

    up_to: Quantity | None = None
    per_started: PositiveQuantity
    add: Fen


@dataclass(frozen=True)
class StartedBlocks:
    """A marginal scale paid by started block: Σ over rows of ⌈part of the row / every⌉ × add."""

    lower: tuple[int, ...]
    upper: tuple[int | None, ...]
    every: tuple[int, ...]
    add: tuple[int, ...]

    def price(self, quantity: Ints) -> Ints:
        """Fen for each ``quantity`` (int64 ≥ 0)."""
        total = np.zeros(len(quantity), np.int64)
        for lower, upper, every, add in zip(self.lower, self.upper, self.every, self.add, strict=True):
            part = parts_between(quantity, lower, upper)
            part += every - 1
            part //= every
            part *= add
            total += part
        return total


def started_blocks(bands: Sequence[MarginalBand]) -> StartedBlocks:
    """The scale of ``bands`` whose edges :func:`upper_edges` has checked."""
    upper = tuple(band.up_to for band in bands)
    lower = (0, *(edge for edge in upper if edge is not None))
    return StartedBlocks(lower, upper, tuple(b.per_started for b in bands), tuple(b.add for b in bands))
