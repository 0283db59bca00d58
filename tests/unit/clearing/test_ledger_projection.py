"""The database of the projection: rows go in whole by either way, and a new one begins as a copy of the first."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence.handmade import Centre

from clearing.config import Settings, load_settings
from clearing.errors import ClearingError
from clearing.ledger.journal import Journal
from clearing.ledger.projection import Projection
from clearing.store import Store

ROWS: dict[str, Callable[[int], dict[str, Any]]] = {
    "card ids above 2^63 and missing ones": lambda n: {
        "card_id": None if n % 5 == 1 else np.uint64((2**64 - 1 - n) if n % 2 else n)
    },
    "days, times, texts": lambda n: {
        "day": datetime.date(2026, 3, 1 + n % 28),
        "at": datetime.datetime(2026, 3, 2, 5, 0, n % 60),
        "name": f"深圳'\";-- {n}",
    },
    "nothing but missing": lambda _: {"txn_id": None, "name": None},
    "yes and no": lambda n: {"open": n % 2 == 0, "txn_id": -n},
}


@pytest.mark.parametrize("rows", [1, 3, 100, 101, 1000], ids=lambda n: f"{n} rows")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_lands_as_it_is(tmp_path: Path, row: Callable[[int], dict[str, Any]], rows: int) -> None:
    given = [row(number) for number in range(rows)]
    with Store(tmp_path / "small.duckdb", tmp_path) as store:
        store.run("""CREATE TABLE kept (card_id UBIGINT, txn_id BIGINT, "day" DATE, "at" TIMESTAMP, name VARCHAR,
            "open" BOOLEAN)""")
        store.insert("kept", given)
        listed = ", ".join(f'"{name}"' for name in given[0])
        assert store.records(f"SELECT {listed} FROM kept ORDER BY rowid") == given


@pytest.mark.parametrize("rows", [2, 200], ids=lambda n: f"{n} rows")
def test_a_row_that_does_not_fit_is_refused(tmp_path: Path, rows: int) -> None:
    with Store(tmp_path / "small.duckdb", tmp_path) as store:
        store.run("CREATE TABLE kept (card_id UBIGINT)")
        with pytest.raises(ClearingError, match="SQL failed"):
            store.insert("kept", [{"card_id": -number} for number in range(rows)])
        assert store.run("SELECT COUNT(*) FROM kept") == [(0,)]


def test_a_new_database_begins_as_a_copy_of_the_first(tmp_path: Path) -> None:
    """With the same tables and views, and with nothing of the centre whose database was the first."""
    centre = Centre.create(tmp_path / "centre").directory
    settings, journal = load_settings(centre), Journal(centre / "journal")
    first, second, third = (_content(tmp_path / name, centre, settings, journal) for name in ("a", "b", "c"))
    assert first == second == third
    assert {"journal", "legs", "transit"} <= {name for name, _ in first}
    for name in ("a", "b", "c"):
        assert [path.name for path in (tmp_path / name).iterdir()] == ["ledger.duckdb"]


def test_the_log_of_a_database_that_is_gone(tmp_path: Path) -> None:
    """What a run that died wrote into the log of a database, removed since, is not in the one made then."""
    centre = Centre.create(tmp_path / "centre").directory
    settings, path = load_settings(centre), tmp_path / "ledger.duckdb"
    log = path.with_name("ledger.duckdb.wal")
    projection = Projection(centre, settings, path=path)
    projection.store.insert("definitions", [{"name": "gone", "sha256": "0"}])
    left = log.read_bytes()
    projection.close()
    path.unlink()
    log.write_bytes(left)
    again = Projection(centre, settings, path=path)
    assert again.store.run("SELECT 1 FROM definitions WHERE name = 'gone'") == []
    again.close()


def _content(folder: Path, centre: Path, settings: Settings, journal: Journal) -> list[tuple[Any, ...]]:
    folder.mkdir()
    projection = Projection(centre, settings, path=folder / "ledger.duckdb")
    try:
        tables = projection.store.run("SELECT table_name, sql FROM duckdb_tables() WHERE NOT internal")
        filled = {name for name, _ in tables if projection.store.run(f'SELECT 1 FROM "{name}" LIMIT 1')}
        assert filled == {"definitions"}
        projection.refresh(journal)
        assert projection.store.run("SELECT COUNT(*) FROM participants") == [(len(settings.participants),)]
        views = projection.store.run("SELECT view_name, column_count FROM duckdb_views() WHERE NOT internal")
        return sorted([*tables, *views], key=repr)
    finally:
        projection.close()
