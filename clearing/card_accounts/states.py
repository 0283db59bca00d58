"""Card states by validity: the register ``registers/card_states.parquet`` (docs/clearing-rules.md §16).

A row says since when a card is in a state; it holds until the card's next row. The register is optional: without a
row a card is ``issued`` while the card register covers the day, else ``unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clearing.calendar import date_of
from clearing.durable import durable_file
from clearing.errors import ConfigError, RefusedError
from clearing.registers import CARD_STATES_FILE, CardState, Registers

SCHEMA: Final = pa.schema(
    [("card_id", pa.uint64()), ("state", pa.string()), ("since", pa.int32()), ("replaced_by", pa.uint64())]
)
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


def read_states(directory: Path) -> list[StateRow]:
    """The register's rows by (card, since).

    Raises:
        ConfigError: naming file and row.
    """
    path = directory / "registers" / CARD_STATES_FILE
    if not path.exists():
        return []
    try:
        columns = pq.read_table(path, schema=SCHEMA).to_pydict()
    except (OSError, pa.ArrowException, ValueError) as exc:
        raise ConfigError(f"no register of card states: {exc}", where=path, remedy="restore it from backup") from exc
    rows = [StateRow(*each) for each in zip(*(columns[name] for name in SCHEMA.names), strict=True)]
    for number, row in enumerate(rows, 1):
        if row.state not in get_args(CardState):
            raise ConfigError(
                f"row {number}: state {row.state!r}", where=path, remedy=f"one of {', '.join(get_args(CardState))}"
            )
    return sorted(rows, key=lambda row: (row.card_id, row.since))


def states_of(rows: Iterable[StateRow], card_id: int) -> list[StateRow]:
    """The states of one card, oldest first."""
    return [row for row in rows if row.card_id == card_id]


def state_on(rows: list[StateRow], registers: Registers, card_id: int, day: int) -> StateRow:
    """A card's state on a day; ``since`` of one without a row is that day."""
    before = [row for row in states_of(rows, card_id) if row.since <= day]
    if before:
        return before[-1]
    known = registers.cards.at(np.array([card_id], np.uint64), np.array([day], np.int32))[0] >= 0
    return StateRow(card_id, "issued" if known else "unknown", day)


def add_state(directory: Path, registers: Registers, row: StateRow) -> None:
    """Put a card into a state; under the centre's lock.

    Raises:
        RefusedError: the card cannot go there, or a later state is recorded already.
    """
    rows = read_states(directory)
    mine = states_of(rows, row.card_id)
    if mine and mine[-1].since > row.since:
        raise RefusedError(
            f"the card is {mine[-1].state} since {date_of(mine[-1].since)}", remedy="name a day not before it"
        )
    now = state_on(rows, registers, row.card_id, row.since)
    if row.state not in _NEXT[now.state]:
        allowed = ", ".join(sorted(_NEXT[now.state])) or "no other state"
        raise RefusedError(f"the card is {now.state}", remedy=f"it may become {allowed}")
    if (row.state == "replaced") != (row.replaced_by is not None) or row.replaced_by == row.card_id:
        raise RefusedError("a replaced card names the card in its place, others none", remedy="give both numbers")
    listed = [*rows, row]
    columns = {name: [getattr(each, name) for each in listed] for name in SCHEMA.names}
    with durable_file(directory / "registers" / CARD_STATES_FILE) as file:
        pq.write_table(pa.table(columns, schema=SCHEMA), file)
