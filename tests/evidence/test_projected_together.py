"""Entries that are projected in one database transaction say what they say one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clearing.config import load_settings
from clearing.ledger import projection as projections
from clearing.ledger.journal import Entry, Journal
from clearing.ledger.projection import Projection
from evidence.paying import Paying


def _projected(path: Path, centre: Path, journal: Any, tables: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    projection = Projection(centre, load_settings(centre), path=path)
    try:
        projection.catch_up(journal)
        store = projection.store
        named = tables or [name for (name,) in store.run("SELECT table_name FROM duckdb_tables() WHERE NOT internal")]
        return {name: store.run(f'SELECT * FROM "{name}" ORDER BY ALL') for name in named}
    finally:
        projection.close()


def test_any_number_together(proposed: Paying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, found = Journal(proposed.directory / "journal"), []
    assert {"intake", "batch", "close"} <= {entry.kind for entry in journal}
    for number in (1, 40, 1_000_000):
        monkeypatch.setattr(projections, "_TOGETHER", number)
        found.append(_projected(tmp_path / f"{number}.duckdb", proposed.directory, journal))
    assert found[0] == found[1] == found[2]
    assert len(found[0]["journal"]) == len(journal.entries)
    batch = max(entry.sequence for entry in journal.of_kind("batch"))
    assert {(outcome, taken) for _, _, _, outcome, *_, taken in found[0]["files"]} == {("received", batch)}


def test_entries_that_tell_other_columns(proposed: Paying, tmp_path: Path) -> None:
    """An engine of another version told fewer columns, or more: no value goes to another row, none is left out."""
    statement = {"bank": 1, "source": 0, "statement": "S", "opening": 5, "closing": 7}
    file = {"file": "f", "format": "x", "sha256": "0", "message": "m", "outcome": "read", "reason": "", "lines": []}
    told = [{}, {"dated": "2026-03-02"}, {}]
    entries = [
        Entry(number, "bank", 0, "1", "", {**file, "statements": [{**statement, **more}]})
        for number, more in enumerate(told, 1)
    ]
    found = _projected(tmp_path / "l.duckdb", proposed.directory, entries, ("bank_statements", "bank_files"))
    assert [(row[0], str(row[-1])) for row in found["bank_statements"]] == [
        (1, "None"),
        (2, "2026-03-02"),
        (3, "None"),
    ]
    assert [row[0] for row in found["bank_files"]] == [1, 2, 3]
