"""Steps and slopes over a quantity: the arithmetic behind bands, blocks and marginal discounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tariffs.columns import Ints
from tariffs.errors import ParameterError


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


def parts_between(quantity: Ints, lower: int, upper: int | None) -> Ints:
    """The part of each ``quantity`` (int64 ≥ 0) that lies above ``lower`` and up to ``upper``."""
    above = np.maximum(quantity, lower)
    if upper is not None:
        np.minimum(above, upper, out=above)
    above -= lower
    return above


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
