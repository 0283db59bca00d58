"""Owners and periods: bring the counters of a state together with the rows that move them, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tariffs import kernels
from tariffs.columns import Bools, Days, Ints
from tariffs.owner_order import order_rows
from tariffs.threads import over_runs


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
