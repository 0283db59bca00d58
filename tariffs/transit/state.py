"""What cards carry from one batch of journeys to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tariffs.columns import NULL, Bools, Codes, Column, Columns, Ints, Shorts
from tariffs.transit.kernels import walk

CLOCK = 0
"""Accumulator number of the row that holds the time and sequence of the card's last counted journey."""


@dataclass(frozen=True, eq=False)
class TransitState(Columns):
    """One accumulator of one card per row, sorted by card and accumulator; a snapshot between batches.

    What ``value``, ``count`` and the marks mean depends on the kind of accumulator
    (docs of :mod:`tariffs.transit.kernels.walk`).
    """

    card: Annotated[Ints, Column(np.int64)]
    accumulator: Annotated[Codes, Column(np.uint16)]
    """1 + position in ``accumulator_names``; :data:`CLOCK` = the card's clock."""
    since: Annotated[Ints, Column(np.int64)]
    """Local second at which the period or window began; for the clock, of the last counted journey."""
    value: Annotated[Ints, Column(np.int64, 0)]
    """Fen or journeys counted, the highest fare of a window; for the clock, the sequence of that journey."""
    count: Annotated[Ints, Column(np.int64, 0)]
    mark_1: Annotated[Ints, Column(np.int64, 0)]
    mark_2: Annotated[Ints, Column(np.int64, 0)]
    mark_3: Annotated[Ints, Column(np.int64, 0)]

    def between(self, cards: Ints) -> TransitState:
        """The rows from the first to the last of rising ``cards``, as a view."""
        if not len(self):
            return self
        first, last = np.searchsorted(self.card, cards[0]), np.searchsorted(self.card, cards[-1], side="right")
        return self.take(slice(int(first), int(last)))

    def of_cards(self, cards: Ints) -> TransitState:
        """The rows of the given cards (any order), in the order of the state."""
        return self.take(np.isin(self.card, cards))


_MEMORY_COLUMNS = ("since", "value", "count", "mark_1", "mark_2", "mark_3")


@dataclass(frozen=True)
class CardGroups:
    """Rows by card, time and sequence.

    ``rows`` int32 row numbers, ``places`` int32 positions in ``rows`` in that order; card k (``cards[k]``, rising)
    has ``places[begins[k]:begins[k + 1]]``.
    """

    rows: Shorts
    places: Shorts
    begins: Ints
    cards: Ints

    def row_at(self, position: Ints) -> Shorts:
        """Row numbers at positions of the order."""
        found: Shorts = self.rows[self.places[position]]
        return found


@dataclass(frozen=True)
class WalkedCards:
    """Cards after the walk: ``memory`` (cards, slots, MEMORY), time and sequence of the last journey of each."""

    cards: Ints
    memory: Ints
    time: Ints
    sequence: Ints


def refuse_past(state: TransitState, groups: CardGroups, time: Ints, sequence: Ints) -> None:
    """ValueError when a card has a row earlier than what its state has already counted."""
    if not len(state):
        return
    clocks = state.take(state.accumulator == CLOCK)
    at, known = _find(clocks.card, groups.cards)
    firsts, since = groups.row_at(groups.begins[:-1])[known], clocks.take(at[known])
    late = (time[firsts] < since.since) | ((time[firsts] == since.since) & (sequence[firsts] < since.value))
    if late.any():
        card = int(since.card[late][0])
        raise ValueError(f"card {card} has a journey earlier than its state: reprice it from an earlier snapshot")


def open_memory(state: TransitState, cards: Ints, accumulators: int) -> Ints:
    """What the kernel remembers per card, shape (cards, accumulators, MEMORY); NULL since = nothing yet."""
    memory = np.zeros((len(cards), accumulators, walk.MEMORY), np.int64)
    memory[:, :, walk.SINCE] = NULL
    if len(state) and len(cards):
        at, known = _find(cards, state.card)
        known &= state.accumulator != CLOCK
        slot = state.accumulator[known].astype(np.int64) - 1
        for column, name in enumerate(_MEMORY_COLUMNS):
            memory[at[known], slot, column] = getattr(state, name)[known]
    return memory


def close_state(state: TransitState, walked: Sequence[WalkedCards]) -> TransitState:
    """The snapshot after the walk: rows of the walked cards renewed, all others as they were.

    The parts hold rising cards, and none that another part has.
    """
    if not walked:
        return state
    cards = np.concatenate([part.cards for part in walked])
    memory = np.concatenate([part.memory for part in walked])
    # Per card a row for the clock, then one per slot: read row by row, that is the order of a state.
    holds = np.ones((len(cards), memory.shape[1] + 1), np.bool_)
    holds[:, 1:] = memory[:, :, walk.SINCE] != NULL
    columns: dict[str, Ints] = {}
    clock = {"since": [part.time for part in walked], "value": [part.sequence for part in walked]}
    for column, name in enumerate(_MEMORY_COLUMNS):
        grid = np.zeros(holds.shape, np.int64)
        if name in clock:
            grid[:, 0] = np.concatenate(clock[name])
        grid[:, 1:] = memory[:, :, column]
        columns[name] = grid[holds]
    at, slot = np.nonzero(holds)
    renewed = TransitState.of(len(at), card=cards[at], accumulator=slot, **columns)
    if not len(state):
        return renewed
    others = state.take(~_find(cards, state.card)[1])
    # Both are in order and no card stands in both: each row moves on by the rows of the other before it.
    places = np.searchsorted(others.card, renewed.card) + np.arange(len(renewed))
    source = np.empty(len(others) + len(renewed), np.int64)
    taken = np.zeros(len(source), np.bool_)
    taken[places] = True
    source[places] = len(others) + np.arange(len(renewed))
    source[~taken] = np.arange(len(others))
    return TransitState.concatenate([others, renewed]).take(source)


def _find(within: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where each of ``wanted`` stands in the rising ``within``, and whether it does (else the index is 0)."""
    if not len(within):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(within, wanted), len(within) - 1)
    return at, within[at] == wanted
