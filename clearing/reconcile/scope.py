"""Where the checks look: the rows sealed since the close before the day and what earlier days left, or everything.

A closed day's segments never change, so what each day's checks read of them is read once. What a later day needs of
the days before (a card's last balance, counters shown so far, rows still held) is *carried*: small tables, functions
of the segments up to a close, kept in ``work/checks`` and made again when they are lost (docs/clearing-rules.md §17).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearing.errors import ClearingError
from clearing.ledger.projection import segment_view, segments_by_service
from clearing.store import Store, sql_text

CARRIED: Final = ("picked_up", "held_rows", "card_runs", "terminal_runs", "card_ends")
"""What a day leaves to the next: SQL files of ``ledger/sql/prepared`` that read ``earlier_<name>``."""

_OF_THE_DAY: Final = frozenset({"segment_sums"})
"""Relations that need nothing of the days before."""

FOLDER: Final = Path("work", "checks")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of the journal the rows of checks come from.

    Attributes:
        after: entry behind which segments are read; 0 = all of them.
        digest: of that entry, empty for all.
    """

    after: int = 0
    digest: str = ""


WHOLE: Final = Scope()
"""Every segment: what ``verify`` and ``reconcile --all`` look at."""


def newest_day(store: Store) -> Scope:
    """The scope of the newest day: behind the newest close before the newest batch."""
    return _scope(
        store, "SELECT MAX(entry) FROM windows WHERE entry < COALESCE((SELECT MAX(entry) FROM segments), 0)"
    )


def newest_close(store: Store) -> Scope:
    """The scope of the day that begins with the newest close."""
    return _scope(store, "SELECT MAX(entry) FROM windows")


def _scope(store: Store, sql: str) -> Scope:
    [found] = store.run(f"SELECT sequence, digest FROM journal WHERE sequence = ({sql})") or [(0, "")]
    return Scope(*found)


@contextlib.contextmanager
def prepared(store: Store, folder: Path, scope: Scope, relations: tuple[str, ...]) -> Iterator[None]:
    """A connection whose segments are those of a scope, with the relations checks read beside them.

    Args:
        store: a projection; what is made here is temporary and gone afterwards.
        folder: ``work/checks`` of the centre.
        scope: which segments.
        relations: names of ``ledger/sql/prepared``.
    """
    with _temporary(store):
        store.script("prepared/nothing_earlier")
        if scope != WHOLE:
            goes_on = not set(relations) <= _OF_THE_DAY
            if goes_on:
                carry(store, folder, scope)
            _see(store, scope.after, None)
            if goes_on:
                _recall(store, _place(folder, scope))
        for name in relations:
            _make(store, name)
        yield


def carry(store: Store, folder: Path, scope: Scope) -> None:
    """Make sure that what the days up to a scope left lies in ``work/checks``; older days go.

    It is made from what the newest earlier day left and the segments since, or from all segments.

    Raises:
        ClearingError: the folder cannot be written.
    """
    place = _place(folder, scope)
    if place.exists():
        return
    earlier = [
        known
        for known in (Scope(*row) for row in store.run("SELECT sequence, digest FROM journal WHERE kind = 'close'"))
        if known.after < scope.after and _place(folder, known).exists()
    ]
    start = max(earlier, key=lambda known: known.after, default=WHOLE)
    beside = folder / f"{place.name}.{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
    except PermissionError as exc:
        raise ClearingError(
            "what earlier days left cannot be kept",
            where=folder,
            remedy="run as the centre's user, or reconcile --all",
        ) from exc
    with _temporary(store):
        store.script("prepared/nothing_earlier")
        _see(store, start.after, scope.after)
        if start != WHOLE:
            _recall(store, _place(folder, start))
        for name in ("card_moves", *CARRIED):
            _make(store, name)
        for name in CARRIED:
            store.run(f"COPY (SELECT * FROM {name} ORDER BY ALL) TO {_file(beside, name)} (FORMAT parquet)")
    with contextlib.suppress(OSError):  # Another reader was faster: what it made is the same.
        beside.rename(place)
    shutil.rmtree(beside, ignore_errors=True)
    for old in folder.iterdir():
        if old.is_dir() and old.name < _named(start):
            shutil.rmtree(old, ignore_errors=True)


def _named(scope: Scope) -> str:
    """Folders are named by entry, so that older ones sort first."""
    return f"{scope.after:08d}"


def _place(folder: Path, scope: Scope) -> Path:
    """Where the carried tables of a scope lie: by entry, its digest, and the SQL that made them."""
    texts = "".join(sql_text(f"prepared/{name}") for name in ("card_moves", *CARRIED)) + sql_text("views")
    made_by = hashlib.sha256((scope.digest + texts).encode()).hexdigest()[:16]
    return folder / f"{_named(scope)}-{made_by}"


def _make(store: Store, name: str) -> None:
    sql = sql_text(f"prepared/{name}").rstrip().removesuffix(";")
    # It may read the view that it hides from then on.
    store.run(f"CREATE TEMP TABLE made AS {sql}")
    store.run(f"DROP VIEW IF EXISTS temp.{name}")
    store.run(f"ALTER TABLE temp.made RENAME TO {name}")


def _recall(store: Store, place: Path) -> None:
    for name in CARRIED:
        store.run(f"CREATE OR REPLACE TEMP VIEW earlier_{name} AS SELECT * FROM read_parquet({_file(place, name)})")


def _see(store: Store, after: int, until: int | None) -> None:
    """Let every view over segments see those of the entries behind ``after``, up to ``until``, alone."""
    listed = store.run(
        "SELECT name FROM segments WHERE entry > $after AND entry <= $until ORDER BY name",
        {"after": after, "until": until or 2**62},
    )
    for view, sql in segments_by_service(name for (name,) in listed).items():
        store.run(f"CREATE OR REPLACE TEMP VIEW {view} AS {segment_view(view, sql)}")
    store.run(sql_text("views").replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMP VIEW"))


@contextlib.contextmanager
def _temporary(store: Store) -> Iterator[None]:
    """Drop every temporary view and table that was not there before; what they hid is seen again."""
    before = _temporaries(store)
    try:
        yield
    finally:
        for kind, name in sorted(_temporaries(store) - before):
            store.run(f'DROP {kind} IF EXISTS temp."{name}"')


def _temporaries(store: Store) -> set[tuple[str, str]]:
    return set(
        store.run(
            """SELECT 'VIEW', view_name FROM duckdb_views() WHERE temporary AND NOT internal
               UNION ALL SELECT 'TABLE', table_name FROM duckdb_tables() WHERE temporary AND NOT internal"""
        )
    )


def _file(folder: Path, name: str) -> str:
    """The Parquet file of a carried table as an SQL literal."""
    path = str(folder.resolve() / f"{name}.parquet").replace("'", "''")
    return f"'{path}'"
