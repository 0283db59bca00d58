"""Rows by key: two cache misses per question, however long the register and in any order; and keys in order.

A binary search asks a register of a million cards twenty times; sorting the questions first costs as much again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from clearing import kernels

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_SLOTS_MIN: Final = 16


def ascending(keys: Keys) -> Ints:
    """int64[n] positions that sort uint64[n] keys, equal ones as they came; n below 2³¹.

    Card ids are ciphertexts and spread evenly: counting them into as many buckets as there are keys all but sorts
    them, several times faster than a comparing sort.
    """
    order = np.empty(len(keys), np.int64)
    if len(keys):
        low = keys.min()
        span = int(keys.max() - low)
        shift = max(span.bit_length() - len(keys).bit_length(), 0)
        starts = np.zeros((span >> shift) + 2, np.int32)
        if not kernels.order_keys(kernels.read_only(keys), low, np.uint64(shift), starts, order):
            return np.argsort(keys, kind="stable")
    return order


def slots_of(keys: Keys) -> npt.NDArray[np.int32]:
    """The hash table of a sorted column: first positions of its keys in slots, for the kernels that ask."""
    slots = np.full(max(_SLOTS_MIN, 1 << (2 * len(keys)).bit_length()), -1, np.int32)
    kernels.index_keys(keys, slots)
    return slots


class KeyIndex:
    """A sorted uint64 column that may repeat keys, with the first position of each."""

    def __init__(self, keys: Keys) -> None:
        """Index ``keys``, shape (n,), ascending, n below 2³¹."""
        self._keys = np.ascontiguousarray(keys, np.uint64)
        self._slots = slots_of(self._keys)

    def first(self, wanted: Keys) -> Ints:
        """int64[m] first position of each wanted key, −1 where there is none."""
        found = np.empty(len(wanted), np.int64)
        kernels.find_keys(self._keys, self._slots, np.ascontiguousarray(wanted, np.uint64), found)
        return found

    def rows(self, wanted: Keys) -> Iterator[tuple[Ints, Ints]]:
        """All rows of the wanted keys as (position in ``wanted``, row), in as many rounds as some key has rows."""
        row = self.first(wanted)
        asked = np.flatnonzero(row >= 0)
        while len(asked):
            yield asked, row[asked]
            row[asked] += 1
            asked = asked[row[asked] < len(self._keys)]
            asked = asked[self._keys[row[asked]] == wanted[asked]]
