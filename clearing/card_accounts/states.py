"""Card states by validity, as two persons recorded them in the journal (docs/clearing-rules.md §16).

A row says since when a card is in a state; it holds until the card's next row. Without a row a card is ``issued``
while the card register covers the day, else ``unknown``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from clearing.calendar import date_of, day_number
from clearing.errors import RefusedError
from clearing.registers import Registers
from clearing.store import Store, sql_text

_NEXT: Final[dict[str, frozenset[str]]] = {
    "unknown": frozenset({"issued", "lost", "closed"}),
    "issued": frozenset({"lost", "replaced", "closed"}),
    "lost": frozenset({"issued", "replaced", "closed"}),
    "replaced": frozenset({"closed"}),
    "closed": frozenset(),
}
"""To which states a card may go on; a found card is issued again, a replaced or closed one never."""


@dataclass(frozen=True, slots=True)
class StateRow:
    """A card's state since a day (days since 1970-01-01), for a replaced one with the card in its place."""

    card_id: int
    state: str
    since: int
    replaced_by: int | None = None


def state_document(row: StateRow) -> dict[str, Any]:
    """A state as proposals and entries hold it: cards by their ids in hex, ``since`` as a day number."""
    other = row.replaced_by
    return {
        "card_id": f"{row.card_id:016x}",
        "state": row.state,
        "since": row.since,
        "replaced_by": None if other is None else f"{other:016x}",
    }


def state_row(document: dict[str, Any]) -> StateRow:
    """The state of a document."""
    other = document["replaced_by"]
    return StateRow(
        int(document["card_id"], 16),
        document["state"],
        document["since"],
        None if other is None else int(other, 16),
    )


@dataclass(frozen=True, slots=True)
class RecordedState:
    """A state of a card as its journal entry holds it: who wanted it, who agreed, why."""

    row: StateRow
    reason: str
    persons: tuple[str, str]
    entry: int


def states_of(store: Store, card_id: int) -> list[RecordedState]:
    """The states of one card, oldest first."""
    return [
        RecordedState(StateRow(card_id, state, day_number(since), replaced_by), reason, (proposer, approver), entry)
        for state, since, replaced_by, reason, proposer, approver, entry in store.run(
            sql_text("corrections/card_states"), {"card": card_id}
        )
    ]


def state_on(rows: list[StateRow], registers: Registers, card_id: int, day: int) -> StateRow:
    """A card's state on a day by its own rows, oldest first; ``since`` of one without a row is that day."""
    before = [row for row in rows if row.since <= day]
    if before:
        return before[-1]
    known = registers.cards.at(np.array([card_id], np.uint64), np.array([day], np.int32))[0] >= 0
    return StateRow(card_id, "issued" if known else "unknown", day)


def refuse_change(rows: list[StateRow], registers: Registers, change: StateRow) -> None:
    """Refuse to put a card into a state it cannot go to.

    Args:
        rows: the card's own, oldest first.
        registers: tell the state of a card without a row.
        change: the new row.

    Raises:
        RefusedError: naming the state it is in, or the later one that is recorded already.
    """
    if rows:
        refuse_later(rows[-1], change)
    else:
        _refuse_step(state_on([], registers, change.card_id, change.since).state, change)


def refuse_later(before: StateRow, change: StateRow) -> None:
    """Refuse what does not follow from a card's newest row (raises RefusedError)."""
    if before.since > change.since:
        raise RefusedError(
            f"the card is {before.state} since {date_of(before.since)}", remedy="name a day not before it"
        )
    _refuse_step(before.state, change)


def refuse_first(change: StateRow) -> None:
    """Refuse what can be no card's first row, whatever the register said then (raises RefusedError)."""
    _refuse_step("issued" if change.state == "replaced" else "unknown", change)


def _refuse_step(now: str, change: StateRow) -> None:
    if change.state not in _NEXT[now]:
        allowed = ", ".join(sorted(_NEXT[now])) or "no other state"
        raise RefusedError(f"the card is {now}", remedy=f"it may become {allowed}")
    if (change.state == "replaced") != (change.replaced_by is not None) or change.replaced_by == change.card_id:
        raise RefusedError("a replaced card names the card in its place, others none", remedy="give both numbers")
