"""The order of owners: rows by owner and, for each of them, by period (or time) and sequence.

The only place where rows are sorted by owner. They are dealt into parts of whole owners first, and a part fits into
the cache. Its rows keep their order, so that what is known of each row is written to its ``place``, and what is found
out is fetched back from there, by places that rise part by part. A walk in order over the whole batch, or reading
rows all over it, would wait for memory at every row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tariffs import kernels
from tariffs.columns import Bools, Ints, Shorts, read_only
from tariffs.threads import in_ranges, run_all

PART_ROWS = 10_240
"""Rows of a part, about: its records and what is worked out of them stay in the second-level cache."""
_PARTS_MAX = 1 << 12
_ROWS_MAX = 2**31 - 1
_KEY_BITS = 62
_NEAR_BITS = 13
_SAMPLE = 32
"""Owners looked at per part, to cut parts of about one size."""


@dataclass(frozen=True)
class Packing:
    """(period, sequence) as one int64 that orders as they do: the lower ``bits`` are the sequence, above ``low``.

    Where both together are too wide for that, ``periods`` and ``sequences`` list those there are, and a key holds
    their ranks; else these have no rows.
    """

    low: tuple[int, int]
    bits: int
    periods: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sequences: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def layout(self) -> tuple[int, int, int]:
        """Lowest period and sequence, and the bits of the latter, as kernels make keys of them."""
        return *self.low, self.bits

    def unpacked(self, keys: Ints) -> tuple[Ints, Ints]:
        """Period and sequence of each key."""
        period, sequence = (keys >> self.bits) + self.low[0], (keys & ((1 << self.bits) - 1)) + self.low[1]
        return (self.periods[period], self.sequences[sequence]) if len(self.periods) else (period, sequence)


@dataclass(frozen=True)
class OwnerRuns:
    """Rows of one part in order: ``order`` lists them, int32, as they were given; ``records`` are theirs.

    Owner k (``owners[k]``, rising) has ``order[begins[k]:begins[k + 1]]``. ``twice``: an owner has a key more than
    once.
    """

    records: npt.NDArray[Any]
    order: Shorts
    owners: Ints
    begins: Ints
    twice: bool

    @classmethod
    def of(cls, records: npt.NDArray[Any], rows: Shorts) -> Self:
        """Sort the ``rows`` (at least one) of a part; its records have the fields ``owner`` and ``key``."""
        in_order = np.empty(len(rows), records.dtype)
        return cls(in_order, *kernels.sort_rows(records, rows, in_order))

    @property
    def keys(self) -> Ints:
        """The keys of the rows in order."""
        return self.records["key"]

    @property
    def first(self) -> Ints:
        """The key of each owner's first row."""
        return self.keys[self.begins[:-1]]

    @property
    def last(self) -> Ints:
        """The key of each owner's last row."""
        return self.keys[self.begins[1:] - 1]


@dataclass(frozen=True)
class OwnerOrder:
    """Rows dealt into parts: ``place`` (int32) is where each row lies.

    Part p has the places from ``bounds[p]`` to ``bounds[p + 1]``, in the order of their rows: all rows of its owners,
    and higher owners than the part before. What sorts a row within its part is its ``owner`` and the key that
    ``packing`` makes of its ``period`` and ``sequence``; these are by row, and ranks where the packing lists values.
    """

    place: Shorts
    bounds: tuple[int, ...]
    owner: Ints
    period: Ints
    sequence: Ints
    packing: Packing

    @property
    def parts(self) -> list[slice]:
        """The places of each part that has any."""
        return [slice(first, last) for first, last in pairwise(self.bounds) if last > first]

    @cached_property
    def row(self) -> Shorts:
        """Which row lies at each place, int32."""
        rows = np.empty(len(self.place), np.int32)
        rows[self.place] = np.arange(len(self.place), dtype=np.int32)
        return rows


def deal_rows(
    owner: Ints, period: Ints, sequence: Ints, threads: int, span: tuple[int, int] | None = None
) -> OwnerOrder:
    """Deal rows, at least one, into parts.

    ``span``: the lowest period that matters, as which lower ones count, and the highest there is; None = find both.
    """
    rows = len(owner)
    assert rows <= _ROWS_MAX, "row numbers are int32: price a batch in parts"
    packing, *keyed = _packing(period, sequence, threads, span)
    if _stand_in_order(owner, period, sequence, threads):
        place = np.arange(rows, dtype=np.int32)
        cuts = np.searchsorted(owner, owner[PART_ROWS::PART_ROWS])
        bounds = np.unique([0, *cuts.tolist(), rows]).tolist()
    else:
        place, bounds = _deal(owner, threads)
    owner, period, sequence = read_only(owner, *keyed)
    return OwnerOrder(place, tuple(bounds), owner, period, sequence, packing)


def order_rows(owner: Ints, period: Ints, sequence: Ints, threads: int) -> tuple[Ints, Bools, int]:
    """Row numbers by (owner, period, sequence), and where in them an (owner, period) begins.

    int64 and bool of the length of the columns; then a row that has all three in common with another, −1 = none.
    """
    rows = len(owner)
    new = np.empty(rows, np.bool_)
    if kernels.in_order(*read_only(owner, period, sequence), new):
        return np.arange(rows), new, -1
    dealt = deal_rows(owner, period, sequence, threads)
    records = np.empty(rows, kernels.DEALT)
    columns, packing = (dealt.place, dealt.owner, dealt.period, dealt.sequence), dealt.packing
    in_ranges(rows, lambda first, last: kernels.collect(*columns, packing.layout, first, last, records), threads)
    order, twice = np.empty(rows, np.int64), [-1]

    def sort(part: slice) -> None:
        here = records[part]
        runs = OwnerRuns.of(here, np.arange(len(here), dtype=np.int32))
        order[part] = runs.records["row"]
        pair = runs.keys >> packing.bits
        new[part][1:] = pair[1:] != pair[:-1]
        new[part][runs.begins[:-1]] = True
        if runs.twice:
            same = np.flatnonzero((runs.keys[1:] == runs.keys[:-1]) & ~new[part][1:])
            twice.append(int(order[part][same[0]]))

    run_all(sort, dealt.parts, threads)
    return order, new, max(twice)


def _stand_in_order(owner: Ints, period: Ints, sequence: Ints, threads: int) -> bool:
    """Whether rows stand strictly by (owner, period, sequence)."""
    columns = read_only(owner, period, sequence)

    def rising(first: int, last: int) -> bool:
        # Each range begins with the last row of the one before.
        given = [column[max(first - 1, 0) : last] for column in columns]
        return bool(kernels.in_order(*given, np.empty(len(given[0]), np.bool_)))

    return all(in_ranges(len(owner), rising, threads))


def _packing(period: Ints, sequence: Ints, threads: int, span: tuple[int, int] | None) -> tuple[Packing, Ints, Ints]:
    """The packing of rows, at least one, and the columns it is for: those given, or their ranks."""
    first, last = _ends(period, threads) if span is None else span
    lowest, highest = _ends(sequence, threads)
    low, bits = (first, lowest), (highest - lowest).bit_length()
    if bits + (last - first).bit_length() <= _KEY_BITS:
        return Packing(low, bits), period, sequence
    # Far apart, as times in nanoseconds beside days: their ranks say the same of the order.
    periods, ranks = np.unique(np.maximum(period, low[0]), return_inverse=True)
    sequences, places = np.unique(sequence, return_inverse=True)
    packing = Packing((0, 0), len(sequences).bit_length(), periods, sequences)
    return packing, ranks.reshape(-1), places.reshape(-1)


def _ends(column: Ints, threads: int) -> tuple[int, int]:
    """Lowest and highest of a column with rows."""
    threads = min(threads, len(column))
    (given,) = read_only(column)
    found = in_ranges(len(column), lambda first, last: kernels.ends(given[first:last]), threads)
    return min(low for low, _ in found), max(high for _, high in found)


def _deal(owner: Ints, threads: int) -> tuple[Shorts, list[int]]:
    """Place of each row, by ranges of owners with about as many rows each, and where the places of each range end."""
    rows = len(owner)
    parts = min(max(rows // PART_ROWS, 1), _PARTS_MAX)
    sample = np.sort(owner[:: max(rows // (parts * _SAMPLE), 1)])
    splitters = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    low, high = _ends(owner, threads)
    span = high - low
    shift = max(span.bit_length() - _NEAR_BITS, 0)
    beginning = np.arange((span >> shift) + 1, dtype=np.uint64) << np.uint64(shift)
    # Wraps around like the kernel's subtraction; rising all the same, as the span is less than 2⁶⁴.
    near = np.searchsorted(splitters.view(np.uint64) - np.uint64(low % 2**64), beginning, side="left")
    near = np.append(near, len(splitters)).astype(np.uint16)
    part, place = np.empty(rows, np.uint16), np.empty(rows, np.int32)
    counts = np.zeros((threads, len(splitters) + 1), np.int64)
    cuts = np.linspace(0, rows, threads + 1).astype(np.int64)
    ranges = [slice(first, last) for first, last in pairwise(cuts.tolist())]

    def deal(thread: int) -> None:
        at = ranges[thread]
        kernels.deal(*read_only(owner[at]), splitters, low, shift, near, part[at], counts[thread])

    def give_places(thread: int) -> None:
        kernels.give_places(part[ranges[thread]], free[thread], place[ranges[thread]])

    run_all(deal, range(threads), threads)
    # Places of a part: first those of the first thread's rows, then of the second's, so that row numbers rise.
    free = (np.cumsum(counts.T.reshape(-1)) - counts.T.reshape(-1)).reshape(-1, threads).T.copy()
    run_all(give_places, range(threads), threads)
    return place, [0, *np.cumsum(counts.sum(axis=0)).tolist()]
