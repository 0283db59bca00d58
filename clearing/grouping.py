"""Distinct values, membership, dense group numbers and sums by group of small-range columns, without sorting.

Windows, participants, files and templates are few and close together: a count per value is several times faster than
``numpy.unique``. Columns with a wide range fall back to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clearing import kernels

Ints = npt.NDArray[np.int64]

_RANGE_MAX: Final = 1 << 20
"""Widest range counted directly: 8 MiB of counters."""


def distinct(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The distinct values of an integer column, ascending."""
    low, counts = _counts(column)
    if counts is None:
        return np.unique(column).astype(np.int64)
    return np.flatnonzero(counts) + low


def among(column: npt.NDArray[Any], values: Iterable[int]) -> npt.NDArray[np.bool_]:
    """bool[n]: the entry is one of a few values (a comparison per value beats ``numpy.isin`` up to about ten)."""
    found = np.zeros(len(column), bool)
    for value in values:
        found |= column == value
    return found


def dense(column: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """(values, code): the distinct values ascending, and int64[n] with ``values[code] == column``."""
    low, counts = _counts(column)
    if counts is None:
        values, code = np.unique(column, return_inverse=True)
        return values.astype(np.int64), code
    values = np.flatnonzero(counts)
    if len(values) <= 1:
        return values + low, np.zeros(len(column), np.int64)
    lookup = np.zeros(len(counts), np.int64)
    lookup[values] = np.arange(len(values))
    return values + low, lookup[column.astype(np.int64) - low]


def sums(group: Ints, groups: int, amount: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """(rows, Σ amount) per group, int64[groups] each, of int64[n] group numbers below ``groups``."""
    count, total = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    kernels.sum_by_group(group, amount.astype(np.int64, copy=False), count, total)
    return count, total


def _counts(column: npt.NDArray[Any]) -> tuple[int, Ints | None]:
    if not len(column):
        return 0, np.zeros(0, np.int64)
    low, high = int(column.min()), int(column.max())
    if high - low >= _RANGE_MAX:
        return low, None
    return low, np.bincount(column.astype(np.int64) - low)
