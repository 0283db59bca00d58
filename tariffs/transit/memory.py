"""The walk over a batch: what the chunks note of each row, then card by card what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tariffs.columns import Bools, Ints, Shorts
from tariffs.owner_order import OwnerOrder, OwnerRuns
from tariffs.schema import WEEKDAYS, Clock
from tariffs.threads import run_all
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import TransitJourneys
from tariffs.transit.kernels import rows, walk
from tariffs.transit.state import TransitState, close_state, open_memory, refuse_past, walked_state

_DAY_S = 86_400
_FEW = 256
"""Records that stay in the first-level cache."""


@dataclass(frozen=True)
class Dated:
    """The accumulating steps of all programs: ``terms`` and ``table`` as :func:`walk.walk_cards` reads them."""

    clock: Clock
    terms: npt.NDArray[Any]
    table: Ints
    ids: Ints
    """Rising numbers of the memories of a card, slot by slot."""

    @property
    def transfers(self) -> bool:
        """Whether some step is a transfer window."""
        return bool((self.terms["kind"] == walk.TRANSFER).any())


@dataclass(frozen=True)
class Memory:
    """What the chunks leave for the walk, and it for the steps behind it, by the ``place`` of the row.

    A part of the order is a run of places: the walk finds in it, side by side, all that it reads.
    """

    order: OwnerOrder
    facts: npt.NDArray[Any]
    """Records of ``walk.FACTS``."""
    ends: npt.NDArray[Any]
    """Records of ``walk.ENDS``; without rows where no step is a transfer window."""
    marked: Bools
    """Places of rows the walk is for; at others the records hold nothing of use."""
    outcome: Ints
    """What the card pays and the rule behind it (fen << 16 | rule), −1 = as before the walk."""
    conceded: Ints
    """By row, as the closing steps want it; without rows where there are none."""

    @classmethod
    def of(cls, order: OwnerOrder, *, transfers: bool, closing: bool) -> Self:
        """Nothing noted yet."""
        length = len(order.place)
        return cls(
            order,
            np.empty(length, walk.FACTS),
            np.empty(length if transfers else 0, walk.ENDS),
            np.zeros(length, np.bool_),
            np.empty(length, np.int64),
            np.zeros(length if closing else 0, np.int64),
        )

    def note(self, at: slice | Ints, chunk: Chunk, program: int) -> None:
        """Remember a chunk's rows ``at``."""
        if len(self.conceded):
            self.conceded[at] = chunk.conceded
        journeys = chunk.journeys
        place, time = self.order.place[at], self.order.period[at]
        rows.note_facts(
            place,
            time,
            chunk.card_class,
            journeys.mode,
            program,
            chunk.marks,
            (chunk.zone_low, chunk.zone_high, chunk.held_low, chunk.held_high),
            chunk.gross,
            chunk.fare,
            chunk.priced,
            np.empty(_FEW, walk.FACTS),
            self.facts,
            self.marked,
        )
        if len(self.ends):
            columns = (journeys.entry_time, journeys.exit_time, journeys.counted_at, journeys.line)
            rows.note_ends(place, time, *columns, self.ends)


def walk_journeys(
    dated: Dated,
    journeys: TransitJourneys,
    state: TransitState,
    span: tuple[int, int],
    memory: Memory,
    threads: int,
) -> TransitState:
    """Count the marked rows of each card in their order; fills the outcomes in ``memory``.

    ``span`` is the earliest and latest time at which any of them counts. Returns the state afterwards. Raises
    ValueError as :func:`tariffs.transit.state.refuse_past`.
    """
    first_day, starts = _calendar(dated.clock, *span)

    def walk_part(part: slice) -> TransitState:
        outcome = memory.outcome[part]
        outcome.fill(-1)
        runs = memory.order.runs(part, memory.marked[part])
        if not len(runs.owners):
            return TransitState.zeros(0)
        if runs.twice:
            _settle_ties(memory.order.row[part], runs, journeys, memory.order.period)
        opening = state.between(runs.owners)
        refuse_past(opening, runs)
        remembered = open_memory(opening, runs.owners, dated.ids)
        walk.walk_cards(
            runs.begins,
            runs.order,
            dated.terms,
            dated.table,
            dated.clock.day_starts_s,
            first_day,
            starts,
            _lined_up(memory.facts[part], runs.order),
            _lined_up(memory.ends[part], runs.order),
            remembered,
            outcome,
        )
        return walked_state(runs, remembered, dated.ids)

    return close_state(state, run_all(walk_part, memory.order.parts, threads))


def _lined_up(records: npt.NDArray[Any], order: Shorts) -> npt.NDArray[Any]:
    """Records of a part in order; none where there are none."""
    block = np.empty(len(order) if len(records) else 0, records.dtype)
    if len(block):
        walk.line_up(records, order, block)
    return block


def _settle_ties(rows_of: Shorts, runs: OwnerRuns, journeys: TransitJourneys, time: Ints) -> None:
    """Order rows of equal card, time and sequence by what they hold; rows equal in everything are interchangeable."""
    at = rows_of[runs.order]
    keys = (journeys.sequence[at], time[at], journeys.card[at])
    same = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    tied = np.zeros(len(at), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    columns = [getattr(journeys, name)[at[tied]] for name in journeys.SPECS]
    by_content = np.lexsort((*columns, *(key[tied] for key in keys)))
    runs.order[tied] = runs.order[tied][by_content]


def _calendar(clock: Clock, earliest: int, latest: int) -> tuple[int, Ints]:
    """First day and ``starts`` of the kernel for the times between."""
    first, last = (earliest - clock.day_starts_s) // _DAY_S, (latest - clock.day_starts_s) // _DAY_S
    days = np.arange(first, last + 1)
    dates = days.astype("datetime64[D]")
    # Day 0 was a Thursday.
    week = days - (days + 3 - WEEKDAYS.index(clock.week_starts)) % 7
    month, year = (dates.astype(f"datetime64[{unit}]").astype("datetime64[D]").astype(np.int64) for unit in "MY")
    return first, np.column_stack([days, week, month, year]) * _DAY_S + clock.day_starts_s
