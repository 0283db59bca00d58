"""What a document says, read from the published projection: relations of ``ledger/sql/report``."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clearing.config import Settings, load_settings
from clearing.errors import RefusedError
from clearing.ledger.projection import PRIVATE_NAME
from clearing.store import Store, sql_text

Row = dict[str, Any]

SHARED: Final = ("journal", "windows", "participants", "positions", "payments")
"""Relations every document uses."""


@dataclass(frozen=True)
class Facts:
    """One business date of one centre, as its ledger shows it at journal entry ``entry``."""

    settings: Settings
    date: datetime.date
    relations: Mapping[str, list[Row]]

    def __getitem__(self, relation: str) -> list[Row]:
        return self.relations[relation]

    @property
    def entry(self) -> Row:
        """The newest journal entry of the projection."""
        return self["journal"][0]

    @property
    def closed_at(self) -> datetime.datetime | None:
        """When the window was closed, None while it is open."""
        closing = self["windows"]
        return closing[0]["closed_at"] if closing else None


@contextmanager
def published_ledger(directory: Path) -> Iterator[Store]:
    """The published projection of a centre, read-only: a run beside it is not disturbed.

    Raises:
        ClearingError: there is none, or it cannot be read.
    """
    with Store(directory / PRIVATE_NAME, directory, read_only=True) as store:
        store.script("report/control_rows")
        yield store


def read_facts(store: Store, directory: Path, date: datetime.date, relations: tuple[str, ...]) -> Facts:
    """The shared and the named relations of a business date.

    Raises:
        RefusedError: nothing has happened in the centre yet.
    """
    if not store.named("report/journal"):
        raise RefusedError("the journal has no entry yet", where=directory, remedy="run: clearing run")
    read = {}
    for name in (*SHARED, *relations):
        sql = sql_text(f"report/{name}")
        read[name] = store.records(sql, {"date": date} if "$date" in sql else {})
    return Facts(load_settings(directory), date, read)
