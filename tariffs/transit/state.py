"""What cards carry from one batch of journeys to the next, and the order in which journeys are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Codes, Column, Columns, Ints
from tariffs.transit import kernels

CLOCK = 0
"""Accumulator number of the row that holds the time and sequence of the card's last counted journey."""


@dataclass(frozen=True, eq=False)
class TransitState(Columns):
    """One accumulator of one card per row, sorted by card and accumulator; a snapshot between batches.

    What ``value``, ``count`` and the marks mean depends on the kind of accumulator
    (docs of :mod:`tariffs.transit.kernels`).
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

    def of_cards(self, cards: Ints) -> TransitState:
        """The rows of the given cards (any order), in the order of the state."""
        return self.take(np.isin(self.card, cards))


_MEMORY_COLUMNS = ("since", "value", "count", "mark_1", "mark_2", "mark_3")


@dataclass(frozen=True)
class CardOrder:
    """Rows sorted by card, time and sequence.

    ``rows`` int64 row numbers; card k (``cards[k]``, rising) has the positions ``begins[k]`` to
    ``begins[k + 1]`` of it.
    """

    rows: Ints
    begins: Ints
    cards: Ints


def order_by_card(
    rows: Ints, card: Ints, time: Ints, sequence: Ints, contents: tuple[npt.NDArray[Any], ...]
) -> CardOrder:
    """Sort ``rows`` by their card, time, sequence and then by the columns ``contents``.

    The order depends on what the rows hold, never on where they stand; rows equal in everything are
    interchangeable.
    """
    chosen = card[rows]
    ordered = rows[_by_card_and_time(rows, chosen, time[rows], (*contents, sequence))]
    sorted_cards = card[ordered]
    first = np.ones(len(rows), np.bool_)
    np.not_equal(sorted_cards[1:], sorted_cards[:-1], out=first[1:])
    begins = np.append(np.flatnonzero(first), len(rows)).astype(np.int64)
    return CardOrder(ordered, begins, sorted_cards[begins[:-1]])


def _by_card_and_time(rows: Ints, card: Ints, time: Ints, ties: tuple[npt.NDArray[Any], ...]) -> Ints:
    if not len(card):
        return np.empty(0, np.int64)
    card_low, time_low = int(card.min()), int(time.min())
    time_bits = (int(time.max()) - time_low).bit_length()
    if (int(card.max()) - card_low).bit_length() + time_bits <= 63:
        # One 64-bit key sorts several times as fast as three; equal keys are rare and settled below.
        key = ((card - card_low) << time_bits) | (time - time_low)
        order: Ints = np.argsort(key)
        in_order = key[order]
        equal = in_order[1:] == in_order[:-1]
        if equal.any():
            tied = np.zeros(len(order), np.bool_)
            tied[1:] |= equal
            tied[:-1] |= equal
            among = order[tied]
            order[tied] = among[np.lexsort((*(column[rows[among]] for column in ties), key[among]))]
        return order
    return np.lexsort((*(column[rows] for column in ties), time, card))


def refuse_past(state: TransitState, order: CardOrder, time: Ints, sequence: Ints) -> None:
    """ValueError when a card has a row earlier than what its state has already counted."""
    clocks = state.take(state.accumulator == CLOCK)
    at, known = _find(clocks.card, order.cards)
    firsts, since = order.rows[order.begins[:-1]][known], clocks.take(at[known])
    late = (time[firsts] < since.since) | ((time[firsts] == since.since) & (sequence[firsts] < since.value))
    if late.any():
        card = int(since.card[late][0])
        raise ValueError(f"card {card} has a journey earlier than its state: reprice it from an earlier snapshot")


def open_memory(state: TransitState, cards: Ints, accumulators: int) -> Ints:
    """What the kernel remembers per card, shape (cards, accumulators, MEMORY); NULL since = nothing yet."""
    memory = np.zeros((len(cards), accumulators, kernels.MEMORY), np.int64)
    memory[:, :, kernels.SINCE] = NULL
    if len(state) and len(cards):
        at, known = _find(cards, state.card)
        known &= state.accumulator != CLOCK
        slot = state.accumulator[known].astype(np.int64) - 1
        for column, name in enumerate(_MEMORY_COLUMNS):
            memory[at[known], slot, column] = getattr(state, name)[known]
    return memory


def close_memory(state: TransitState, order: CardOrder, memory: Ints, time: Ints, sequence: Ints) -> TransitState:
    """The snapshot after the walk: rows of the walked cards renewed, all others as they were."""
    _, walked = _find(order.cards, state.card)
    lasts = order.rows[order.begins[1:] - 1]
    clocks = TransitState.of(
        len(order.cards), card=order.cards, accumulator=CLOCK, since=time[lasts], value=sequence[lasts]
    )
    at, slot = np.nonzero(memory[:, :, kernels.SINCE] != NULL)
    held = memory[at, slot]
    renewed = TransitState.of(
        len(at),
        card=order.cards[at],
        accumulator=slot + 1,
        **{name: held[:, column] for column, name in enumerate(_MEMORY_COLUMNS)},
    )
    after = TransitState.concatenate([state.take(~walked), clocks, renewed])
    return after.take(np.lexsort((after.accumulator, after.card)))


def _find(within: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where each of ``wanted`` stands in the rising ``within``, and whether it does (else the index is 0)."""
    if not len(within):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(within, wanted), len(within) - 1)
    return at, within[at] == wanted
