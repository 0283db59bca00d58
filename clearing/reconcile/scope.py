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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clearing.errors import ClearingError
from clearing.ledger.views import over_segments, views_read
from clearing.store import Store, sql_text

CARRIED: Final = ("picked_up", "held_rows", "card_runs", "terminal_runs", "card_ends")
"""What a day leaves to the next: SQL files of ``ledger/sql/prepared`` that read ``earlier_<name>``."""

_GOES_ON: Final = {**{name: name for name in CARRIED if name != "card_ends"}, "card_moves": "card_ends"}
"""What a relation of a day needs of the days before; the others need nothing."""

FEW_ROWS: Final = 50_000
"""Rows of a scope that are kept in memory for all checks; of more, each check reads the columns it needs."""

_READ_ONCE: Final = {"transactions": "SELECT * FROM transactions"}
"""Views whose rows are kept where they are few: otherwise each check opens every segment again."""

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
def prepared(
    store: Store, folder: Path, scope: Scope, relations: tuple[str, ...], texts: tuple[str, ...] | None = None
) -> Iterator[None]:
    """A connection whose segments are those of a scope, with the relations checks read beside them.

    Args:
        store: a projection; what is made here is temporary and gone afterwards.
        folder: ``work/checks`` of the centre.
        scope: which segments.
        relations: names of ``ledger/sql/prepared``.
        texts: the SQL that will run; None = any.
    """
    with _temporary(store):
        store.script("prepared/nothing_earlier")
        if _few_rows(store, scope):
            relations = (*_READ_ONCE, *relations)
        if scope != WHOLE:
            needed = [_GOES_ON[name] for name in relations if name in _GOES_ON]
            carry(store, folder, scope, needed)
            _recall(store, _place(folder, scope), needed)
            segments = _segments(store, scope.after, None)
            for name in relations:
                _make(store, name, segments)
            for view, sql in views_read((sql_text("views"),) if texts is None else texts, segments).items():
                if view not in relations:
                    store.run(f"CREATE OR REPLACE TEMP VIEW {view} AS {sql}")
        else:
            for name in relations:
                _make(store, name)
        yield


def carry(store: Store, folder: Path, scope: Scope, names: Iterable[str] = CARRIED) -> None:
    """Make sure that what the days up to a scope left lies in ``work/checks``, of some tables; older days go.

    It is made from what the newest earlier day left and the segments since, or from all segments.

    Raises:
        ClearingError: the folder cannot be written.
    """
    place = _place(folder, scope)
    missing = [name for name in names if not _path(place, name).exists()]
    if not missing:
        return
    start = _newest_with(store, folder, scope, missing)
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
        if start != WHOLE:
            _recall(store, _place(folder, start), missing)
        segments = _segments(store, start.after, scope.after)
        for name in [*(["card_moves"] if "card_ends" in missing else []), *missing]:
            _make(store, name, segments)
        for name in missing:
            store.run(f"COPY (SELECT * FROM {name} ORDER BY ALL) TO {_file(beside, name)} (FORMAT parquet)")
    place.mkdir(exist_ok=True)
    for name in missing:  # Where another reader was faster, what it made is the same.
        _path(beside, name).replace(_path(place, name))
    shutil.rmtree(beside, ignore_errors=True)
    _forget(folder, start, missing)


def _newest_with(store: Store, folder: Path, scope: Scope, names: list[str]) -> Scope:
    """The newest earlier day that left all of these tables; :data:`WHOLE` when there is none."""
    for place in sorted(folder.glob("*/"), reverse=True):
        closed = store.run(
            "SELECT sequence, digest FROM journal WHERE kind = 'close' AND sequence < $after AND sequence = $named",
            {"after": scope.after, "named": _entry_of(place)},
        )
        for known in (Scope(*row) for row in closed):
            if place == _place(folder, known) and all(_path(place, name).exists() for name in names):
                return known
    return WHOLE


def _forget(folder: Path, start: Scope, names: list[str]) -> None:
    """Drop these tables of the days before the one from which they were made."""
    for place in folder.glob("*/"):
        if _entry_of(place) < start.after:
            for name in names:
                _path(place, name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # It still holds others.
                place.rmdir()


def _entry_of(place: Path) -> int:
    """Folders are named by entry, so that older ones sort first."""
    number = place.name.split("-")[0]
    return int(number) if number.isdecimal() else 0


def _place(folder: Path, scope: Scope) -> Path:
    """Where the carried tables of a scope lie: by entry, its digest, and the SQL that made them."""
    made_by = hashlib.sha256((scope.digest + _MADE_BY).encode()).hexdigest()[:16]
    return folder / f"{scope.after:08d}-{made_by}"


_MADE_BY: Final = "".join(sql_text(f"prepared/{name}") for name in ("card_moves", *CARRIED)) + sql_text("views")


def _make(store: Store, name: str, segments: list[str] | None = None) -> None:
    """Make a relation of ``ledger/sql/prepared``, or keep a view's rows, over some segments alone; None = all."""
    text = _READ_ONCE.get(name) or sql_text(f"prepared/{name}").rstrip().removesuffix(";")
    # It may read the view that it hides from then on.
    store.run(f"CREATE TEMP TABLE made AS {text if segments is None else over_segments(text, segments)}")
    store.run(f"DROP VIEW IF EXISTS temp.{name}")
    store.run(f"ALTER TABLE temp.made RENAME TO {name}")


def _recall(store: Store, place: Path, names: Iterable[str]) -> None:
    for name in names:
        store.run(f"CREATE OR REPLACE TEMP VIEW earlier_{name} AS SELECT * FROM read_parquet({_file(place, name)})")


def _few_rows(store: Store, scope: Scope) -> bool:
    [(rows,)] = store.run("SELECT COALESCE(SUM(rows), 0) FROM segments WHERE entry > $after", {"after": scope.after})
    return bool(rows <= FEW_ROWS)


def _segments(store: Store, after: int, until: int | None) -> list[str]:
    """Names of the segments of the entries behind ``after``, up to ``until``."""
    listed = store.run(
        "SELECT name FROM segments WHERE entry > $after AND entry <= $until ORDER BY name",
        {"after": after, "until": until or 2**62},
    )
    return [name for (name,) in listed]


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
    path = str(_path(folder.resolve(), name)).replace("'", "''")
    return f"'{path}'"


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"
