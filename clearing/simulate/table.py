"""Rows under construction: equal-length numpy columns by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Table = dict[str, npt.NDArray[Any]]
"""Equal-length 1-D arrays by column name."""


def length(table: Table) -> int:
    """Number of rows."""
    return len(next(iter(table.values())))


def take(table: Table, rows: npt.NDArray[Any] | slice) -> Table:
    """The rows chosen by an index array or a mask (copies) or a slice (views)."""
    return {name: column[rows] for name, column in table.items()}


def concatenate(tables: list[Table]) -> Table:
    """The rows of tables with the same columns, in order."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def group_starts(sorted_keys: npt.NDArray[Any]) -> Ints:
    """Positions at which a new value begins in a sorted array."""
    if not len(sorted_keys):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]))


def running_within(values: Ints, starts: Ints) -> Ints:
    """Cumulative sums of ``values`` that begin anew at each of ``starts``."""
    total = np.cumsum(values)
    sizes = np.diff(np.append(starts, len(values)))
    before = total[starts] - values[starts]
    return total - np.repeat(before, sizes)
