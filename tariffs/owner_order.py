"""The order of owners: rows by owner and, for each of them, by period (or time) and sequence.

The only place where rows are sorted by owner. They are dealt into parts of whole owners first, and a part fits into
the cache. Its rows keep their order, so that what is known of each row is written to its ``place``, and what is found
out is fetched back from there, by places that rise part by part. A walk in order over the whole batch, or reading
rows all over it, would wait for memory at every row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tariffs import kernels
from tariffs.columns import Bools, Codes, Ints, Shorts, read_only
from tariffs.threads import in_threads, run_all

PART_ROWS = 4_096
"""Rows of a part, about: its hash table and what is worked out of it stay in the second-level cache."""
_PARTS_MAX = 1 << 12
_ROWS_MAX = 2**31 - 1
_KEY_BITS = 62
_NEAR_BITS = 13
_SAMPLE = 64
"""Owners looked at per part, to cut parts of about one size."""
_ALL = np.empty(0, np.bool_)


@dataclass(frozen=True)
class Packing:
    """(period, sequence) as one int64 that orders as they do: the lower ``bits`` are the sequence, above ``low``.

    Where both together are too wide for that, ``values`` lists the periods and the sequences there are, and a key
    holds their ranks.
    """

    low: tuple[int, int]
    bits: int
    values: tuple[Ints, Ints] | None = None

    def unpacked(self, keys: Ints) -> tuple[Ints, Ints]:
        """Period and sequence of each key."""
        period, sequence = (keys >> self.bits) + self.low[0], (keys & ((1 << self.bits) - 1)) + self.low[1]
        return (period, sequence) if self.values is None else (self.values[0][period], self.values[1][sequence])


@dataclass(frozen=True)
class OwnerRuns:
    """The chosen rows of one part in order: ``order`` lists them, int32, counted from the part's first place.

    Owner k (``owners[k]``, rising) has ``order[begins[k]:begins[k + 1]]``; ``first`` and ``last`` are period and
    sequence of the first and last row of each. ``twice``: an owner has a period and sequence more than once.
    """

    order: Shorts
    begins: Ints
    owners: Ints
    first: tuple[Ints, Ints]
    last: tuple[Ints, Ints]
    twice: bool


@dataclass(frozen=True)
class Dealt:
    """Records of ``kernels.DEALT`` by place, and the packing of their keys."""

    records: npt.NDArray[Any]
    packing: Packing


@dataclass(frozen=True)
class OwnerOrder:
    """Rows dealt into parts: ``place`` (int32) is where each row lies, :attr:`row` which row lies at each place.

    Part p has the places from ``bounds[p]`` to ``bounds[p + 1]``, in the order of their rows: all rows of its owners,
    and higher owners than the part before. ``dealt`` is None where the rows stood in order before, so that a place is
    the row itself. ``owner``, ``period`` and ``sequence`` are by row.
    """

    place: Shorts
    owner: Ints
    period: Ints
    sequence: Ints
    bounds: tuple[int, ...]
    dealt: Dealt | None

    @property
    def row(self) -> Shorts:
        """Which row lies at each place, int32; a view."""
        return self.place if self.dealt is None else self.dealt.records["row"]

    @property
    def parts(self) -> list[slice]:
        """The places of each part that has any."""
        return [slice(first, last) for first, last in pairwise(self.bounds) if last > first]

    def runs(self, part: slice, chosen: Bools = _ALL) -> OwnerRuns:
        """The rows of a part in order; ``chosen`` (by place within the part, nothing = all) are those that matter."""
        if self.dealt is not None:
            owners, begins, order, key, twice = _sorted_part(self.dealt, part, chosen)
            unpacked = self.dealt.packing.unpacked
            return OwnerRuns(order, begins, owners, unpacked(key[begins[:-1]]), unpacked(key[begins[1:] - 1]), twice)
        owner = self.owner[part]
        order, begins = np.empty(len(owner), np.int32), np.empty(len(owner) + 1, np.int64)
        found, rows = kernels.find_runs(*read_only(owner), chosen, order, begins)
        begins, order = begins[: found + 1], order[:rows]
        firsts, lasts = order[begins[:-1]], order[begins[1:] - 1]
        period, sequence = self.period[part], self.sequence[part]
        first, last = ((period[at], sequence[at]) for at in (firsts, lasts))
        return OwnerRuns(order, begins, owner[firsts], first, last, False)


def _sorted_part(dealt: Dealt, part: slice, chosen: Bools) -> tuple[Ints, Ints, Shorts, Ints, bool]:
    """Owners of a part, begins of their rows, places within the part in order, their keys, whether any repeats."""
    records = dealt.records[part]
    order, key = np.empty(len(records), np.int32), np.empty(len(records), np.int64)
    owners, begins, twice = kernels.sort_part(records, chosen, order, key)
    return owners, begins, order[: begins[-1]], key, twice


def deal_rows(owner: Ints, period: Ints, sequence: Ints, threads: int, least: int | None = None) -> OwnerOrder:
    """Deal rows into parts; ``least`` is the lowest period that matters, lower ones count as that."""
    rows = len(owner)
    assert rows <= _ROWS_MAX, "row numbers are int32: price a batch in parts"
    if kernels.in_order(*read_only(owner, period, sequence), np.empty(rows, np.bool_)):
        place = np.arange(rows, dtype=np.int32)
        cuts = np.searchsorted(owner, owner[PART_ROWS::PART_ROWS])
        bounds = np.unique([0, *cuts.tolist(), rows]).tolist()
        return OwnerOrder(place, owner, period, sequence, tuple(bounds), None)
    return _dealt(owner, period, sequence, threads, least)


def _dealt(owner: Ints, period: Ints, sequence: Ints, threads: int, least: int | None) -> OwnerOrder:
    """Rows, at least one, that do not stand in order."""
    rows = len(owner)
    packing, *columns = _packing(period, sequence, least)
    part, counts = _deal(owner, threads)
    place, records = np.empty(rows, np.int32), np.empty(rows, kernels.DEALT)
    # Places of a part: first those of the first thread's rows, then of the second's, so that row numbers rise.
    free = (np.cumsum(counts.T.reshape(-1)) - counts.T.reshape(-1)).reshape(-1, len(counts)).T.copy()
    ranges = np.linspace(0, rows, len(counts) + 1).astype(np.int64)
    given = (part, *read_only(owner, *columns), *packing.low, packing.bits)

    def collect(thread: int, end: int) -> None:
        kernels.collect(*given, ranges[thread], ranges[end], free[thread], place, records)

    in_threads(collect, np.arange(len(counts)), np.arange(len(counts)) + 1, threads)
    bounds = (0, *np.cumsum(counts.sum(axis=0)).tolist())
    return OwnerOrder(place, owner, period, sequence, bounds, Dealt(records, packing))


def order_rows(owner: Ints, period: Ints, sequence: Ints, threads: int) -> tuple[Ints, Bools, int]:
    """Row numbers by (owner, period, sequence), and where in them an (owner, period) begins.

    int64 and bool of the length of the columns; then a row that has all three in common with another, −1 = none.
    """
    rows = len(owner)
    new = np.empty(rows, np.bool_)
    if kernels.in_order(*read_only(owner, period, sequence), new):
        return np.arange(rows), new, -1
    whole = _dealt(owner, period, sequence, threads, None)
    dealt = whole.dealt
    assert dealt is not None
    order, twice = np.empty(rows, np.int64), [-1]

    def sort(part: slice) -> None:
        _, begins, places, key, repeats = _sorted_part(dealt, part, _ALL)
        order[part] = whole.row[part][places]
        pair = key >> dealt.packing.bits
        new[part][1:] = pair[1:] != pair[:-1]
        new[part][begins[:-1]] = True
        if repeats:
            same = np.flatnonzero((key[1:] == key[:-1]) & ~new[part][1:])
            twice.append(int(order[part][same[0]]))

    run_all(sort, whole.parts, threads)
    return order, new, max(twice)


def _packing(period: Ints, sequence: Ints, least: int | None) -> tuple[Packing, Ints, Ints]:
    """The packing of rows, at least one, and the columns it is for: those given, or their ranks."""
    low = int(period.min()) if least is None else least, int(sequence.min())
    bits = (int(sequence.max()) - low[1]).bit_length()
    if bits + max(int(period.max()) - low[0], 0).bit_length() <= _KEY_BITS:
        return Packing(low, bits), period, sequence
    # Far apart, as times in nanoseconds beside days: their ranks say the same of the order.
    periods, ranks = np.unique(np.maximum(period, low[0]), return_inverse=True)
    sequences, places = np.unique(sequence, return_inverse=True)
    packing = Packing((0, 0), len(sequences).bit_length(), (periods, sequences))
    return packing, ranks.reshape(-1), places.reshape(-1)


def _deal(owner: Ints, threads: int) -> tuple[Codes, Ints]:
    """Part of each row, by ranges of owners with about as many rows each, and rows by (thread, part)."""
    rows = len(owner)
    parts = min(1 << max(rows // PART_ROWS, 1).bit_length() - 1, _PARTS_MAX)
    sample = np.sort(owner[:: max(rows // (parts * _SAMPLE), 1)])
    splitters = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    low = int(owner.min())
    span = int(owner.max()) - low
    shift = max(span.bit_length() - _NEAR_BITS, 0)
    beginning = np.arange((span >> shift) + 1, dtype=np.uint64) << np.uint64(shift)
    # Wraps around like the kernel's subtraction; rising all the same, as the span is less than 2⁶⁴.
    near = np.searchsorted(splitters.view(np.uint64) - np.uint64(low % 2**64), beginning, side="left")
    near = np.append(near, len(splitters)).astype(np.uint16)
    part, counts = np.empty(rows, np.uint16), np.zeros((threads, len(splitters) + 1), np.int64)
    bounds = np.linspace(0, rows, threads + 1).astype(np.int64)

    def deal(thread: int, end: int) -> None:
        at = slice(bounds[thread], bounds[end])
        kernels.deal(*read_only(owner[at]), splitters, low, shift, near, part[at], counts[thread])

    in_threads(deal, np.arange(threads), np.arange(threads) + 1, threads)
    return part, counts
