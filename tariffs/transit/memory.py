"""The walk over a batch: what the chunks note, whose rows come in which order, threads over parts of the cards."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tariffs.columns import Bools, Ints, Shorts
from tariffs.schema import WEEKDAYS, Clock
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import JourneysPart, TransitJourneys
from tariffs.transit.kernels import order, rows, walk
from tariffs.transit.state import CardGroups, TransitState, WalkedCards, close_state, open_memory, refuse_past
from tariffs.transit.workers import Workers

PART_ROWS = 16_384
"""Rows of a part of the cards, about: its hash table and its records stay near the second-level cache."""

_DAY_S = 86_400
_PARTS_MAX = 1 << 13
_CELL_BITS = 12
_SAMPLE = 16
"""Cards looked at per splitter."""
_ROWS_MAX = 2**31 - 1


@dataclass(frozen=True)
class Dated:
    """The accumulating steps of all programs: ``parameters`` and ``table`` as :func:`walk.walk_cards` reads them."""

    clock: Clock
    parameters: Ints
    table: Ints
    slots: int


@dataclass(frozen=True)
class Memory:
    """What the columns of a chunk leave for the walk (records of ``walk.FACTS``) and the steps behind it."""

    conceded: Ints
    facts: npt.NDArray[Any]
    marked: Bools
    """Rows the walk is for; of others ``facts`` holds nothing."""
    outcome: Ints
    """What the card pays and the rule behind it (fen << 16 | rule), before and after the walk."""

    @classmethod
    def of(cls, length: int) -> Self:
        """Nothing marked yet of ``length`` rows."""
        assert length <= _ROWS_MAX, "row numbers are int32: price a batch in parts"
        return cls(
            np.zeros(length, np.int64),
            np.empty(length, walk.FACTS),
            np.zeros(length, np.bool_),
            np.zeros(length, np.int64),
        )

    def note(self, at: slice | Ints, chunk: Chunk, time: Ints, program: int) -> None:
        """Remember a chunk's rows ``at``."""
        self.conceded[at] = chunk.conceded
        facts, marked, outcome = self.facts[at], self.marked[at], self.outcome[at]
        journeys = chunk.journeys
        rows.note_facts(
            time,
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
            chunk.rule,
            chunk.priced,
            facts,
            marked,
            outcome,
        )
        if not isinstance(at, slice):
            self.facts[at], self.marked[at], self.outcome[at] = facts, marked, outcome


class Counted(Protocol):
    """When each row counts, int64 seconds."""

    @property
    def time(self) -> Ints: ...


def walk_journeys(
    dated: Dated, journeys: TransitJourneys, state: TransitState, counted: Counted, memory: Memory, workers: Workers
) -> TransitState:
    """Count the marked rows of each card in their order; changes the outcomes in ``memory``.

    Returns the state afterwards. Raises ValueError as :func:`tariffs.transit.state.refuse_past`.
    """
    if not len(memory.facts):
        return state
    columns = JourneysPart(journeys, slice(None))
    card, sequence = columns.card, columns.sequence
    clock, firsts = _calendar(dated.clock, counted.time, memory.marked)

    def walk_part(part: Part) -> WalkedCards:
        groups, block = part.groups(journeys, sequence, memory.facts)
        own = state.between(groups.cards)
        refuse_past(own, groups, counted.time, sequence)
        remembered = open_memory(own, groups.cards, dated.slots)
        walk.walk_cards(
            groups.begins,
            groups.places,
            groups.rows,
            dated.parameters,
            dated.table,
            clock,
            firsts,
            block,
            remembered,
            memory.outcome,
        )
        lasts = groups.row_at(groups.begins[1:] - 1)
        return WalkedCards(groups.cards, remembered, counted.time[lasts], sequence[lasts])

    return close_state(state, workers.run(walk_part, _parts(card, counted.time, sequence, memory.marked, workers)))


@dataclass(frozen=True)
class Part:
    """Rows of some cards that no other part has, and their cards: a stretch in order, or numbers to be sorted."""

    rows: slice | Shorts
    card: Ints

    def groups(
        self, journeys: TransitJourneys, sequence: Ints, facts: npt.NDArray[Any]
    ) -> tuple[CardGroups, npt.NDArray[Any]]:
        """The rows by card, time and sequence, and their facts."""
        length = len(self.card)
        if isinstance(self.rows, slice):
            begins = np.empty(length + 1, np.int64)
            found = order.starts_of_cards(self.card, 0, length, begins)
            begins = begins[: found + 1]
            places = np.arange(length, dtype=np.int32)
            rows_of = np.arange(self.rows.start, self.rows.stop, dtype=np.int32)
            return CardGroups(rows_of, places, begins, self.card[begins[:-1]]), facts[self.rows]
        number_of, cards = np.empty(length, np.int32), np.empty(length, np.int64)
        block = np.empty(length, walk.FACTS)
        found = order.number_cards(self.rows, self.card, facts, block, number_of, cards)
        by_card = np.argsort(cards[:found])
        rank = np.empty(found, np.int64)
        rank[by_card] = np.arange(found)
        places, tied, begins = np.empty(length, np.int32), np.zeros(length, np.bool_), np.zeros(found + 1, np.int64)
        equal = order.group_rows(self.rows, number_of, rank, block, sequence, places, begins, tied)
        if equal:
            _settle_ties(self.rows, places, tied, journeys, block)
        return CardGroups(self.rows, places, begins, cards[:found][by_card]), block


def _settle_ties(
    rows_of: Shorts, places: Shorts, tied: Bools, journeys: TransitJourneys, block: npt.NDArray[Any]
) -> None:
    """Order rows of equal card, time and sequence by what they hold; rows equal in everything are interchangeable."""
    among = places[tied]
    at = rows_of[among]
    columns = [getattr(journeys, name)[at] for name in journeys.SPECS]
    places[tied] = among[np.lexsort((*columns, journeys.sequence[at], block["time"][among], journeys.card[at]))]


def _parts(card: Ints, time: Ints, sequence: Ints, marked: Bools, workers: Workers) -> list[Part]:
    """Parts of about :data:`PART_ROWS` marked rows, rising by card; rows that stand in order already stay there."""
    length = len(card)
    if order.in_order(card, time, sequence, marked):
        wanted = np.arange(PART_ROWS, length, PART_ROWS)
        cuts = np.unique([0, *np.searchsorted(card, card[wanted]).tolist(), length])
        return [Part(slice(first, last), card[first:last]) for first, last in itertools.pairwise(cuts.tolist())]
    splitters = _splitters(card)
    count = len(splitters) + 1
    edges = np.linspace(0, length, 2 * max(1, min(8, length // PART_ROWS)) + 1).astype(np.int64).tolist()
    ranges = list(itertools.pairwise(edges))
    part = np.empty(length, np.uint16)
    counts = np.zeros((len(ranges), count), np.int64)
    grid = _cells(card, splitters)
    workers.run(lambda k: order.deal(card, marked, splitters, *grid, *ranges[k], part, counts[k]), range(len(ranges)))
    # Free places: all of part 0, range by range, then part 1.
    ends = counts.T.ravel().cumsum()
    at = np.ascontiguousarray((ends - counts.T.ravel()).reshape(count, len(ranges)).T)
    rows_of, card_of = np.empty(int(ends[-1]), np.int32), np.empty(int(ends[-1]), np.int64)
    workers.run(lambda k: order.collect(part, card, *ranges[k], at[k], rows_of, card_of), range(len(ranges)))
    card_of.flags.writeable = False
    bounds = [0, *ends[len(ranges) - 1 :: len(ranges)].tolist()]
    return [
        Part(rows_of[first:last], card_of[first:last]) for first, last in itertools.pairwise(bounds) if last > first
    ]


def _splitters(card: Ints) -> Ints:
    """Cards at equal distances in a sorted sample of the rows, so that parts get about as many rows each."""
    parts = min(len(card) // PART_ROWS, _PARTS_MAX)
    if parts < 2:
        return card[:0].copy()
    sample = np.sort(card[:: max(1, len(card) // (parts * _SAMPLE))])
    return np.unique(sample[np.arange(1, parts) * len(sample) // parts])


def _cells(card: Ints, splitters: Ints) -> tuple[int, int, Shorts]:
    """Lowest card, shift and splitters below each cell, as :func:`order.deal` reads them."""
    lowest, highest = int(card.min()), int(card.max())
    shift = max((highest - lowest).bit_length() - _CELL_BITS, 0)
    last = (highest - lowest) >> shift
    starts = np.array([min(lowest + (cell << shift), highest) for cell in range(last + 1)], np.int64)
    below = np.append(np.searchsorted(splitters, starts), len(splitters))
    return lowest, shift, below.astype(np.int32)


def _calendar(clock: Clock, time: Ints, marked: Bools) -> tuple[Ints, Ints]:
    """The kernel's ``clock`` and ``firsts`` for the marked rows."""
    earliest, latest = order.span(time, marked)
    first, last = (earliest - clock.day_starts_s) // _DAY_S, (latest - clock.day_starts_s) // _DAY_S
    dates = np.arange(first, last + 1).astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    year = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    numbers = np.array([clock.day_starts_s, WEEKDAYS.index(clock.week_starts), first], np.int64)
    return numbers, np.column_stack([month, year])
