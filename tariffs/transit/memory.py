"""The walk over a batch: what the chunks note, whose rows come in which order, threads over parts of the cards."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from tariffs.columns import Ints, Shorts
from tariffs.schema import WEEKDAYS, Clock
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.kernels import order, rows, walk
from tariffs.transit.scales import padded
from tariffs.transit.state import CardGroups, TransitState, WalkedCards, close_state, open_memory, refuse_past
from tariffs.transit.workers import Workers

PART_ROWS = 8_192
"""Rows of a part of the cards, about: its hash table and its records stay near the second-level cache."""

_DAY_S = 86_400
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

    @classmethod
    def of(cls, length: int) -> Self:
        """Nothing marked yet of ``length`` rows."""
        assert length <= _ROWS_MAX, "row numbers are int32: price a batch in parts"
        return cls(np.zeros(length, np.int64), np.zeros(length, walk.FACTS))

    def note(self, at: slice | Ints, chunk: Chunk, time: Ints, program: int) -> None:
        """Remember a chunk's rows ``at``."""
        self.conceded[at] = chunk.conceded
        facts = self.facts[at]
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
        )
        if not isinstance(at, slice):
            self.facts[at] = facts


class Counted(Protocol):
    """When each row counts, int64 seconds."""

    @property
    def time(self) -> Ints: ...


def walk_journeys(
    dated: Dated,
    journeys: TransitJourneys,
    state: TransitState,
    counted: Counted,
    memory: Memory,
    prices: TransitPrices,
    workers: Workers,
) -> TransitState:
    """Count the marked rows of each card in their order; writes what they pay and the rule behind it.

    Returns the state afterwards. Raises ValueError as :func:`tariffs.transit.state.refuse_past`.
    """
    facts = memory.facts
    if not len(facts):
        return state
    card, sequence = _fixed(journeys.card), _fixed(journeys.sequence)
    clock, firsts = _calendar(dated.clock, facts)
    parts = _parts(card, sequence, facts, workers)

    def walk_part(part: Part) -> WalkedCards:
        groups, block = part.groups(journeys, card, sequence, facts)
        own = state.between(groups.cards)
        refuse_past(own, groups, counted.time, sequence)
        remembered = open_memory(own, groups.cards, dated.slots)
        walk.walk_cards(
            groups.begins,
            groups.rows,
            dated.parameters,
            dated.table,
            clock,
            firsts,
            block,
            remembered,
            prices.card_pays,
            prices.rule,
        )
        lasts = groups.rows[groups.begins[1:] - 1]
        return WalkedCards(groups.cards, remembered, counted.time[lasts], sequence[lasts])

    return close_state(state, workers.run(walk_part, parts))


@dataclass(frozen=True)
class Part:
    """Rows of some cards that no other part has: a stretch of sorted rows, or row numbers to be sorted."""

    rows: slice | Shorts

    def groups(
        self, journeys: TransitJourneys, card: Ints, sequence: Ints, facts: npt.NDArray[Any]
    ) -> tuple[CardGroups, npt.NDArray[Any]]:
        """The rows by card, time and sequence, and their facts in that order."""
        if isinstance(self.rows, slice):
            first, last = self.rows.start, self.rows.stop
            begins = np.empty(last - first + 1, np.int64)
            found = order.starts_of_cards(card, first, last, begins)
            begins = begins[: found + 1]
            cards = card[first + begins[:-1]]
            return CardGroups(np.arange(first, last, dtype=np.int32), begins, cards), facts[self.rows]
        length = len(self.rows)
        ordered, cards = np.empty(length, np.int32), np.empty(length, np.int64)
        begins, tied = np.empty(length + 1, np.int64), np.zeros(length, np.bool_)
        found, equal = order.group_rows(self.rows, card, sequence, facts, ordered, cards, begins, tied)
        if equal:
            _settle_ties(ordered, tied, journeys, facts)
        block = np.empty(length, walk.FACTS)
        order.gather(facts, ordered, block)
        return CardGroups(ordered, begins[: found + 1], cards[:found]), block


def _settle_ties(ordered: Shorts, tied: npt.NDArray[np.bool_], journeys: TransitJourneys, facts: Any) -> None:
    """Order rows of equal card, time and sequence by what they hold; rows equal in everything are interchangeable."""
    among = ordered[tied]
    columns = [getattr(journeys, name)[among] for name in journeys.SPECS]
    keys = (journeys.sequence[among], facts["time"][among], journeys.card[among])
    ordered[tied] = among[np.lexsort((*columns, *keys))]


def _parts(card: Ints, sequence: Ints, facts: npt.NDArray[Any], workers: Workers) -> list[Part]:
    """Parts of about :data:`PART_ROWS` marked rows, rising by card; rows that stand in order already stay there."""
    length = len(card)
    if order.in_order(card, sequence, facts):
        wanted = np.arange(PART_ROWS, length, PART_ROWS)
        cuts = np.unique([0, *np.searchsorted(card, card[wanted]).tolist(), length])
        return [Part(slice(first, last)) for first, last in itertools.pairwise(cuts.tolist())]
    splitters = _splitters(card)
    count = len(splitters) + 1
    edges = np.linspace(0, length, 2 * max(1, min(8, length // PART_ROWS)) + 1).astype(np.int64).tolist()
    ranges = list(itertools.pairwise(edges))
    part = np.empty(length, np.uint16)
    counts = np.zeros((len(ranges), count), np.int64)
    workers.run(lambda k: order.deal(card, facts, splitters, *ranges[k], part, counts[k]), range(len(ranges)))
    # Free places: all of part 0, range by range, then part 1.
    ends = counts.T.ravel().cumsum()
    at = np.ascontiguousarray((ends - counts.T.ravel()).reshape(count, len(ranges)).T)
    rows_of = np.empty(int(ends[-1]), np.int32)
    workers.run(lambda k: order.collect(part, *ranges[k], at[k], rows_of), range(len(ranges)))
    bounds = [0, *ends[len(ranges) - 1 :: len(ranges)].tolist()]
    return [Part(rows_of[first:last]) for first, last in itertools.pairwise(bounds) if last > first]


def _splitters(card: Ints) -> Ints:
    """Cards at equal distances in a sorted sample of the rows, so that parts get about as many rows each."""
    parts = min(len(card) // PART_ROWS, 1 << 13)
    if parts < 2:
        return padded([])
    sample = np.sort(card[:: max(1, len(card) // (parts * _SAMPLE))])
    chosen = np.unique(sample[np.arange(1, parts) * len(sample) // parts])
    return padded(chosen.tolist())


def _fixed(column: Ints) -> Ints:
    """A read-only view, so that kernels meet one set of types."""
    view = column.view()
    view.flags.writeable = False
    return view


def _calendar(clock: Clock, facts: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """The kernel's ``clock`` and ``firsts`` for the marked rows of ``facts``."""
    earliest, latest = order.span(facts)
    first, last = (earliest - clock.day_starts_s) // _DAY_S, (latest - clock.day_starts_s) // _DAY_S
    dates = np.arange(first, last + 1).astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    year = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    numbers = np.array([clock.day_starts_s, WEEKDAYS.index(clock.week_starts), first], np.int64)
    return numbers, np.column_stack([month, year])
