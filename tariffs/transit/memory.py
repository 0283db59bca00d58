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


@dataclass(frozen=True)
class Dated:
    """The accumulating steps of all programs: ``terms`` and ``table`` as :func:`walk.walk_cards` reads them."""

    clock: Clock
    terms: npt.NDArray[Any]
    table: Ints
    ids: Ints
    """Rising numbers of the memories of a card, slot by slot."""


@dataclass(frozen=True)
class Memory:
    """What the chunks leave for the walk, by row, and it for the steps behind it, by the ``place`` of the row."""

    order: OwnerOrder
    facts: npt.NDArray[Any]
    """Records of ``walk.FACTS``."""
    marked: Bools
    """Rows the walk is for; of others ``facts`` and ``outcome`` hold nothing."""
    conceded: Ints
    """As the closing steps want it; without rows where there are none."""
    outcome: Ints
    """By place: what the card pays and the rule behind it (fen << 16 | rule), −1 = as before the walk."""

    @classmethod
    def of(cls, order: OwnerOrder, *, closing: bool) -> Self:
        """Nothing noted yet."""
        length = len(order.place)
        return cls(
            order,
            np.empty(length, walk.FACTS),
            np.zeros(length, np.bool_),
            np.zeros(length if closing else 0, np.int64),
            np.empty(length, np.int64),
        )

    def note(self, at: slice | Ints, chunk: Chunk, program: int) -> None:
        """Remember a chunk's rows ``at``."""
        if len(self.conceded):
            self.conceded[at] = chunk.conceded
        journeys = chunk.journeys
        facts, marked = self.facts[at], self.marked[at]
        rows.note_facts(
            self.order.period[at],
            journeys.entry_time,
            journeys.exit_time,
            journeys.counted_at,
            chunk.card_class,
            journeys.line,
            journeys.mode,
            program,
            chunk.marks,
            (chunk.zone_low, chunk.zone_high, chunk.held_low, chunk.held_high),
            chunk.gross,
            chunk.fare,
            chunk.priced,
            facts,
            marked,
        )
        if not isinstance(at, slice):
            self.facts[at], self.marked[at] = facts, marked


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
        own = memory.order.row[part]
        runs = memory.order.runs(part, memory.marked[own])
        if not len(runs.owners):
            return TransitState.zeros(0)
        if runs.twice:
            _settle_ties(own, runs, journeys, memory.order.period)
        facts = np.empty(len(runs.order), walk.FACTS)
        walk.fetch(memory.facts, own[runs.order], facts)
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
            facts,
            remembered,
            memory.outcome[part],
        )
        return walked_state(runs, remembered, dated.ids)

    return close_state(state, run_all(walk_part, memory.order.parts, threads))


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
