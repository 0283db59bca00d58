"""What cards carry from one batch of journeys to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Column, Columns, Ints
from tariffs.owner_order import Packing
from tariffs.threads import run_all
from tariffs.transit.kernels import walk

CLOCK = 0
"""Accumulator number of the row that holds the time and sequence of the card's last counted journey."""

SLOTS_MAX = 1 << 12
"""Memories that one accumulator may take: they have numbers side by side."""


@dataclass(frozen=True, eq=False)
class TransitState(Columns):
    """One accumulator of one card per row, sorted by card and accumulator; a snapshot between batches.

    What ``value``, ``count`` and the marks mean depends on the kind of accumulator
    (docs of :mod:`tariffs.transit.kernels.walk`).
    """

    card: Annotated[Ints, Column(np.int64)]
    accumulator: Annotated[Ints, Column(np.int64)]
    """:func:`accumulator_id` of its name; :data:`CLOCK` = the card's clock."""
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


def accumulator_id(name: str) -> int:
    """Number under which a state keeps an accumulator, by its name alone: ``name``, or ``name[k]`` for slot k of it.

    So a rule file may gain, lose and reorder accumulators, and each finds its own memory again.
    """
    base, _, slot = name.partition("[")
    number = int.from_bytes(blake2b(base.encode(), digest_size=8).digest(), "big") >> 1
    return number // SLOTS_MAX * SLOTS_MAX + int(slot.rstrip("]") or 0)


@dataclass(frozen=True)
class WalkedCards:
    """What some cards carry on after their walk."""

    cards: Ints
    """Rising."""
    last: Ints
    """Key of each card's last journey."""
    memory: npt.NDArray[Any]
    """Records of ``walk.MEMORY`` (cards, ids)."""
    used: int
    """Records that hold something."""

    @property
    def rows(self) -> int:
        """Rows of a state that say so."""
        return len(self.cards) + self.used


def refuse_past(state: TransitState, cards: Ints, first: tuple[Ints, Ints]) -> None:
    """ValueError when a card has a row earlier than what its state has already counted.

    ``first`` is time and sequence of the first row of each of the rising ``cards``.
    """
    clocks = state.take(state.accumulator == CLOCK)
    at, known = _find(clocks.card, cards)
    since = clocks.take(at[known])
    time, sequence = (column[known] for column in first)
    late = (time < since.since) | ((time == since.since) & (sequence < since.value))
    if late.any():
        card = int(since.card[late][0])
        raise ValueError(f"card {card} has a journey earlier than its state: reprice it from an earlier snapshot")


def open_memory(state: TransitState, cards: Ints, ids: Ints) -> npt.NDArray[Any]:
    """What the kernel remembers per card, records of ``walk.MEMORY`` (cards, ids); NULL since = nothing yet.

    ``ids`` rise; what the state holds under another one is forgotten.
    """
    memory = np.zeros((len(cards), len(ids)), walk.MEMORY)
    memory["since"] = NULL
    if len(state) and len(cards):
        at, known = _find(cards, state.card)
        slot, named = _find(ids, state.accumulator)
        known &= named
        for name in walk.MEMORY.names or ():
            memory[name][at[known], slot[known]] = getattr(state, name)[known]
    return memory


def close_state(
    state: TransitState, walked: Sequence[WalkedCards], packing: Packing, ids: Ints, threads: int
) -> TransitState:
    """The snapshot after the walk: rows of the walked cards renewed, all others as they were.

    The parts hold rising cards, and none that another part has; ``packing`` made their keys of time and sequence;
    ``ids`` (rising) number the memories of a card.
    """
    if not walked:
        return state
    ends = np.cumsum([cards.rows for cards in walked])
    columns = {name: np.empty(int(ends[-1]), spec.dtype) for name, spec in TransitState.SPECS.items()}
    listed = [columns[name] for name in ("card", "accumulator", "since", "value", "count")]
    marks = tuple(columns[f"mark_{k}"] for k in (1, 2, 3))
    clock = packing.layout, packing.periods, packing.sequences

    def list_rows(part: int) -> None:
        cards = walked[part]
        walk.list_memory(
            cards.cards, cards.last, *clock, cards.memory, ids, int(ends[part]) - cards.rows, *listed, marks
        )

    run_all(list_rows, range(len(walked)), threads)
    renewed = TransitState(**columns)
    if not len(state) or not len(renewed):
        return renewed if len(renewed) else state
    cards = renewed.card[renewed.accumulator == CLOCK]
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
