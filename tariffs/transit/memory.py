"""The walk over a batch: what the chunks note of each row, then card by card what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tariffs.columns import Ints, Shorts, read_only
from tariffs.owner_order import OwnerOrder, OwnerRuns
from tariffs.schema import WEEKDAYS, Clock
from tariffs.threads import run_all
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import TransitJourneys
from tariffs.transit.kernels import rows, walk
from tariffs.transit.state import TransitState, WalkedCards, close_state, open_memory, refuse_past

_DAY_S = 86_400


@dataclass(frozen=True)
class Dated:
    """The accumulating steps of all programs: ``terms`` and ``table`` as :func:`walk.walk_cards` reads them."""

    clock: Clock
    terms: npt.NDArray[Any]
    table: Ints
    ids: Ints
    """Rising numbers of the memories of a card, slot by slot."""

    @property
    def ends(self) -> bool:
        """Whether some step asks where a journey begins and ends."""
        kind = self.terms["kind"]
        return bool(((kind == walk.TRANSFER) | (kind == walk.CHEAPEST) | (self.terms["cap_span"] > 0)).any())


@dataclass(frozen=True)
class Memory:
    """What the chunks leave for the walk, and it for the steps behind it, by the ``place`` of the row.

    A part of the order is a run of places: the walk finds in it, side by side, all that it reads.
    """

    order: OwnerOrder
    facts: npt.NDArray[Any]
    """Records of ``walk.FACTS``; those without marks hold nothing else of use."""
    ends: npt.NDArray[Any]
    """Records of ``walk.ENDS``; without rows where no step reads them."""
    outcome: Ints
    """What the card pays and the rule behind it (fen << 16 | rule); ~fen = as before the walk, by the rule it had."""
    conceded: Ints
    """By row, as the closing steps want it; without rows where there are none."""

    @classmethod
    def of(cls, order: OwnerOrder, *, ends: bool, closing: bool) -> Self:
        """Nothing noted yet; each row is to be noted or passed over."""
        length = len(order.place)
        return cls(
            order,
            np.empty(length, walk.FACTS),
            np.empty(length if ends else 0, walk.ENDS),
            np.empty(length, np.int64),
            np.zeros(length if closing else 0, np.int64),
        )

    def pass_over(self, at: slice) -> None:
        """Rows that the walk is not for, but for those noted later."""
        rows.pass_over(self.order.place[at], self.facts)

    def note(self, at: slice | Ints, chunk: Chunk, program: int) -> None:
        """Remember a chunk's rows ``at``."""
        if len(self.conceded):
            self.conceded[at] = chunk.conceded
        journeys, order = chunk.journeys, self.order
        place = order.place[at]
        rows.note_facts(
            place,
            *read_only(order.owner[at], order.period[at], order.sequence[at]),
            order.packing.layout,
            chunk.card_class,
            journeys.mode,
            program,
            chunk.marks,
            chunk.gross,
            chunk.fare,
            chunk.priced,
            self.facts.view(np.uint64).reshape(-1, 4),
        )
        if len(self.ends):
            columns = (journeys.entry_time, journeys.exit_time, journeys.counted_at, journeys.line)
            zones = (chunk.zone_low, chunk.zone_high, chunk.held_low, chunk.held_high)
            rows.note_ends(place, *columns, zones, self.ends)


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
    packing = memory.order.packing

    def walk_part(part: slice) -> WalkedCards | None:
        facts, outcome = memory.facts[part], memory.outcome[part]
        marked = np.empty(len(facts), np.int32)
        found = walk.marked(facts, marked, outcome)
        if not found:
            return None
        runs = OwnerRuns.of(facts, marked[:found])
        if runs.twice:
            _settle_ties(memory.order.row[part], runs, journeys)
        opening = state.between(runs.owners)
        if len(opening):
            refuse_past(opening, runs.owners, packing.unpacked(runs.first))
        remembered = open_memory(opening, runs.owners, dated.ids)
        used = walk.walk_cards(
            runs.begins,
            runs.order,
            runs.records,
            packing.layout,
            packing.periods,
            dated.terms,
            dated.table,
            dated.clock.day_starts_s,
            first_day,
            starts,
            memory.ends[part],
            remembered,
            outcome,
        )
        return WalkedCards(runs.owners, runs.last, remembered, used)

    walked = run_all(walk_part, memory.order.parts, threads)
    return close_state(state, [cards for cards in walked if cards is not None], packing, dated.ids, threads)


def _settle_ties(rows_of: Shorts, runs: OwnerRuns, journeys: TransitJourneys) -> None:
    """Order rows of equal card, time and sequence by what they hold; rows equal in everything are interchangeable."""
    same = runs.keys[1:] == runs.keys[:-1]
    same[runs.begins[1:-1] - 1] = False
    tied = np.append(False, same) | np.append(same, False)
    group = np.cumsum(np.append(True, ~same))[tied]
    at = rows_of[runs.order[tied]]
    by_content = np.lexsort((*(getattr(journeys, name)[at] for name in journeys.SPECS), group))
    runs.order[tied] = runs.order[tied][by_content]
    runs.records[tied] = runs.records[tied][by_content]


def _calendar(clock: Clock, earliest: int, latest: int) -> tuple[int, Ints]:
    """First day and ``starts`` of the kernel for the times between."""
    first, last = (earliest - clock.day_starts_s) // _DAY_S, (latest - clock.day_starts_s) // _DAY_S
    days = np.arange(first, last + 1)
    dates = days.astype("datetime64[D]")
    # Day 0 was a Thursday.
    week = days - (days + 3 - WEEKDAYS.index(clock.week_starts)) % 7
    month, year = (dates.astype(f"datetime64[{unit}]").astype("datetime64[D]").astype(np.int64) for unit in "MY")
    return first, np.column_stack([days, week, month, year]) * _DAY_S + clock.day_starts_s
