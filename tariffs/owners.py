"""Owners and periods: bring the counters of a state together with the rows that move them, in order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tariffs import kernels
from tariffs.columns import Bools, Days, Ints

CHUNK_ROWS = 16_384
"""Rows whose columns stay in the cache together."""
_PART_ROWS = 16_384
_KEY_BITS = 62
_NEAR_BITS = 13
_SAMPLE = 64
"""Owners looked at per part, to cut parts of about one size."""


@dataclass(frozen=True)
class Groups:
    """Distinct (owner, year) pairs of a state and a batch, sorted by both.

    ``owner`` and ``year`` int64 (groups,). ``of_state`` gives the group of every state row. ``order`` lists the
    rows of the batch that move counters by (group, sequence): run r of it, from ``begins[r]`` to
    ``begins[r + 1]``, belongs to group ``of_run[r]``. All int64.
    """

    owner: Ints
    year: Ints
    of_state: Ints
    order: Ints
    begins: Ints
    of_run: Ints
    rows: int
    threads: int

    def carried(self, counter: Ints) -> Ints:
        """A counter of the state as int64 of shape (groups,), 0 for owners it did not know."""
        opening = np.zeros(len(self.owner), np.int64)
        opening[self.of_state] = counter
        return opening

    @cached_property
    def of_row(self) -> Ints:
        """Group of each row of the batch, int64 (rows,); 0 for rows that move no counter."""
        group = np.zeros(self.rows, np.int64)

        def spread(first: int, last: int) -> None:
            kernels.spread_groups(self.order, self.begins, self.of_run, first, last, group)

        self.each_run(spread)
        return group

    def each_run(self, walk: Callable[[int, int], object], rows: int = 0) -> None:
        """Call ``walk(first, last)`` for ranges of runs that together are all of them, on the threads.

        Of about ``rows`` rows, 0 = as many as one thread takes well.
        """
        over_runs(self.begins, walk, self.threads, rows)


def over_runs(begins: Ints, walk: Callable[[int, int], object], threads: int, rows: int = 0) -> None:
    """``walk(first, last)`` for ranges of the runs between ``begins`` (which end with the end of the last run).

    Ranges are balanced by rows, for runs may be of very different length: of about ``rows``, 0 = a few per thread.
    """
    runs, length = len(begins) - 1, int(begins[-1])
    ranges = length // rows + 1 if rows else 4 * threads if threads > 1 else 1
    wanted = np.linspace(0, length, ranges + 1)
    cuts = np.unique(np.append(np.searchsorted(begins[:-1], wanted), runs))
    in_threads(walk, cuts[:-1], cuts[1:], threads)


def in_threads(work: Callable[[int, int], object], first: npt.ArrayLike, last: npt.ArrayLike, threads: int) -> None:
    """``work(first[i], last[i])`` for all i on a pool of threads, or here when there is one thread."""
    pairs = list(zip(np.asarray(first).tolist(), np.asarray(last).tolist(), strict=True))
    if threads == 1 or len(pairs) < 2:
        for begin, end in pairs:
            work(begin, end)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda pair: work(*pair), pairs))


def in_ranges(length: int, work: Callable[[int, int], object], threads: int) -> None:
    """``work(first, last)`` for ranges that together are ``length`` rows, one per thread."""
    bounds = np.linspace(0, length, threads + 1).astype(np.int64)
    in_threads(work, bounds[:-1], bounds[1:], threads)


def each_chunk(length: int, work: Callable[[slice], object], threads: int) -> None:
    """``work(rows)`` for slices of ``length`` rows that fit into the cache, on a pool of threads."""
    starts = np.arange(0, length, CHUNK_ROWS)
    in_threads(lambda first, last: work(slice(first, last)), starts, np.minimum(starts + CHUNK_ROWS, length), threads)


def calendar_year(days: Days) -> Ints:
    """Calendar year of each day since 1970, int64."""
    return by_day(days, lambda day: day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970)


def by_day(days: Days, of: Callable[[Days], Ints]) -> Ints:
    """``of(days)``, worked out once per day where the days of a batch lie close together."""
    if not len(days):
        return of(days)
    first, last = int(days.min()), int(days.max())
    if last - first >= len(days):
        return of(days)
    return of(np.arange(first, last + 1, dtype=np.int32)).take(days - np.int32(first))


def group_rows(
    state_owner: Ints,
    state_year: Ints,
    owner: Ints,
    year: Ints,
    sequence: Ints,
    *,
    chosen: Bools | None = None,
    threads: int = 1,
) -> Groups:
    """Group batch rows (those ``chosen``, None = all) and state rows by (owner, year).

    Raises ValueError when the state holds a pair twice, or when two batch rows of one pair have the same
    sequence: their order would depend on the order of arrival.
    """
    rows = len(owner)
    kept = None if chosen is None or chosen.all() else np.flatnonzero(chosen)
    if kept is not None:
        owner, year, sequence = owner[kept], year[kept], sequence[kept]
    order, new, twice = order_rows(owner, year, sequence, threads)
    if twice >= 0:
        raise ValueError(f"owner {owner[twice]} has the sequence {sequence[twice]} twice in this batch")
    begins = np.flatnonzero(new)
    first = order[begins]
    run_owner, run_year = owner[first], year[first]
    by_pair, new_pair, twice = order_rows(state_owner, state_year, np.zeros(len(state_owner), np.int64), threads)
    if twice >= 0 or not new_pair.all():
        raise ValueError("the state holds an (owner, year) twice")
    number_of_run, number_of_pair = np.empty(len(begins), np.int64), np.empty(len(by_pair), np.int64)
    pair_owner, pair_year = state_owner[by_pair], state_year[by_pair]
    count = kernels.merge_pairs(run_owner, run_year, pair_owner, pair_year, number_of_run, number_of_pair)
    owners, years, of_state = (np.empty(size, np.int64) for size in (count, count, len(state_owner)))
    of_state[by_pair] = number_of_pair
    for number, owned, at in ((number_of_pair, pair_owner, pair_year), (number_of_run, run_owner, run_year)):
        owners[number], years[number] = owned, at
    return Groups(
        owners,
        years,
        of_state,
        order if kept is None else kept[order],
        np.append(begins, len(order)),
        number_of_run,
        rows,
        threads,
    )


def order_rows(owner: Ints, period: Ints, sequence: Ints, threads: int) -> tuple[Ints, Bools, int]:
    """Row numbers by (owner, period, sequence), and where in them an (owner, period) begins.

    int64 and bool of the length of the columns; then a row that has all three in common with another, −1 = none.
    """
    rows = len(owner)
    new = np.empty(rows, np.bool_)
    if kernels.in_order(owner, period, sequence, new):
        return np.arange(rows), new, -1
    periods, low_period = _span(period)
    sequences, low_sequence = _span(sequence)
    bits = int(sequences).bit_length()
    if bits + int(periods).bit_length() > _KEY_BITS:
        # Far apart, as times in nanoseconds beside days: their ranks say the same of the order.
        period, sequence = (np.unique(column, return_inverse=True)[1].reshape(-1) for column in (period, sequence))
        low_period, low_sequence, bits = 0, 0, rows.bit_length()
    part, counts = _deal(owner, threads)
    numbers, owners, keys = np.empty(rows, np.int32), np.empty(rows, np.int64), np.empty(rows, np.int64)
    # Places of a part: first those of the first thread's rows, then of the second's, so that row numbers rise.
    at = (np.cumsum(counts.T.reshape(-1)) - counts.T.reshape(-1)).reshape(-1, len(counts)).T.copy()
    low = np.array([low_period, low_sequence], np.int64)
    bounds = np.linspace(0, rows, len(counts) + 1).astype(np.int64)
    order, twice = np.empty(rows, np.int64), list[int]()

    def collect(thread: int, end: int) -> None:
        first, last = bounds[thread], bounds[end]
        kernels.collect(part, owner, period, sequence, low, bits, first, last, at[thread], numbers, owners, keys)

    def sort(first: int, last: int) -> None:
        here = slice(first, last)
        twice.append(kernels.sort_part(owners[here], keys[here], numbers[here], bits, order[here], new[here]))

    in_threads(collect, np.arange(len(counts)), np.arange(len(counts)) + 1, threads)
    ends = np.cumsum(counts.sum(axis=0))
    in_threads(sort, np.append(0, ends[:-1]), ends, threads)
    return order, new, max(twice)


def _span(column: Ints) -> tuple[int, int]:
    """Difference of the greatest and least of a column, and the least."""
    low = int(column.min())
    return int(column.max()) - low, low


def _deal(owner: Ints, threads: int) -> tuple[npt.NDArray[np.uint16], Ints]:
    """Part of each row, by ranges of owners with about as many rows each, and rows by (thread, part)."""
    rows = len(owner)
    parts = min(1 << max(rows // _PART_ROWS, 1).bit_length() - 1, 1 << 15)
    sample = np.sort(owner[:: max(rows // (parts * _SAMPLE), 1)])
    splitters = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    span, low = _span(owner)
    shift = max(span.bit_length() - _NEAR_BITS, 0)
    beginning = np.arange((span >> shift) + 1, dtype=np.uint64) << np.uint64(shift)
    # Wraps around like the kernel's subtraction; rising all the same, as the span is less than 2⁶⁴.
    near = np.searchsorted(splitters.view(np.uint64) - np.uint64(low % 2**64), beginning, side="left")
    near = np.append(near, len(splitters))
    part, counts = np.empty(rows, np.uint16), np.zeros((threads, parts), np.int64)
    bounds = np.linspace(0, rows, threads + 1).astype(np.int64)

    def deal(thread: int, end: int) -> None:
        at = slice(bounds[thread], bounds[end])
        kernels.deal(owner[at], splitters, low, shift, near, part[at], counts[thread])

    in_threads(deal, np.arange(threads), np.arange(threads) + 1, threads)
    return part, counts
