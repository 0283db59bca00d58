"""What ``verify`` finds and names, what ``rebuild`` restores, and what recomputing shows after the code changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

import clearing
from clearing import __version__
from clearing.settlement import close_window
from clearing.verify import rebuild, verify, verify_by_recomputing
from evidence import other_engine
from evidence.centres import DAY, PASSPHRASE, copy_of, entries

PROJECTIONS = ("ledger.duckdb", "work/ledger.duckdb")


@pytest.fixture(scope="module")
def closed(small_cleared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ledger whose first window is closed: its newest entry is a close. Read only."""
    centre = copy_of(small_cleared, tmp_path_factory.mktemp("closed") / "centre")
    close_window(centre, DAY, passphrase=PASSPHRASE, now=entries(centre, "batch")[-1].at)
    assert verify(centre, PASSPHRASE) == []
    return centre


@pytest.fixture
def centre(closed: Path, tmp_path: Path) -> Path:
    return copy_of(closed, tmp_path / "centre")


def flip(path: Path, at: int | None = None) -> None:
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)


def change_in_sql(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as database:
        assert database.execute(statement).fetchone() == (1,), "exactly one row was to be changed"


def findings(centre: Path) -> dict[str, str]:
    """Findings by where."""
    return {finding.where: finding.what for finding in verify(centre, PASSPHRASE)}


# --- the projection ----------------------------------------------------------------------

ONE_FEN = "UPDATE postings SET fen = fen + 1 WHERE rowid = (SELECT MIN(rowid) FROM postings)"
EDITS = {
    "postings": ONE_FEN,
    "file_results": "UPDATE file_results SET rows = rows - 1 WHERE rowid = (SELECT MIN(rowid) FROM file_results)",
    "payments": "DELETE FROM payments WHERE rowid = (SELECT MAX(rowid) FROM payments)",
    "posting_templates": "UPDATE posting_templates SET amount = 'card_paid' WHERE leg = 0",
}


@pytest.mark.parametrize("path", PROJECTIONS)
def test_one_fen_in_the_database_is_found(centre: Path, path: str) -> None:
    change_in_sql(centre / path, ONE_FEN)
    assert list(findings(centre)) == [f"{path} postings"]


def test_every_edited_table_is_named_and_rebuilt(centre: Path) -> None:
    for path in PROJECTIONS:
        for statement in EDITS.values():
            change_in_sql(centre / path, statement)
    assert findings(centre).keys() == {f"{path} {table}" for path in PROJECTIONS for table in EDITS}
    rebuild(centre, PASSPHRASE)
    assert findings(centre) == {}


def test_a_view_that_hides_rows_is_found(centre: Path) -> None:
    with duckdb.connect(str(centre / "ledger.duckdb")) as database:
        database.execute("CREATE OR REPLACE VIEW balances AS SELECT * FROM postings WHERE fen > 0")
    assert list(findings(centre)) == ["ledger.duckdb views"]


def tables_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(path), read_only=True) as database:
        names = database.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        return {name: database.execute(f'FROM "{name}" ORDER BY ALL').fetchall() for (name,) in names}


def test_rebuild_restores_every_table(centre: Path) -> None:
    before = tables_of(centre / "ledger.duckdb")
    assert all(before[name] for name in ("journal", "postings", "segments", "positions", "fees", "file_results"))
    for path in PROJECTIONS:
        (centre / path).unlink()
    assert rebuild(centre, PASSPHRASE) == len(before["journal"])
    for path in PROJECTIONS:
        assert tables_of(centre / path) == before


# --- the truth ---------------------------------------------------------------------------


def first(centre: Path, pattern: str) -> Path:
    return min(centre.glob(pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "segments/transit/*.parquet",
        "segments/bill/*.parquet",
        "segments/unreadable/*.parquet",
        "archive/*.data",
        "archive/*.manifest.json",
        "archive/config/*",
        "vault/*.cards",
    ],
)
@pytest.mark.parametrize("harm", [flip, Path.unlink], ids=["flipped", "removed"])
def test_a_harmed_file_is_named(centre: Path, pattern: str, harm: Callable[[Path], None]) -> None:
    path = first(centre, pattern)
    harm(path)
    assert str(path.relative_to(centre)) in findings(centre)


@pytest.mark.parametrize("extra", ["segments/transit/9-0000.parquet", "vault/9.cards", "archive/9.data"])
def test_a_file_nobody_signed_for_is_named(centre: Path, extra: str) -> None:
    (centre / extra).write_bytes(b"more")
    assert list(findings(centre)) == [extra]


def test_a_swapped_pair_of_segments_is_named(centre: Path) -> None:
    one, other = sorted((centre / "segments" / "transit").glob("*.parquet"))[:2]
    aside = one.with_suffix(".aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    assert {f"segments/transit/{one.name}", f"segments/transit/{other.name}"} <= findings(centre).keys()


def test_an_edited_receipt_is_named_and_nothing_else(centre: Path) -> None:
    path = first(centre, "outbox/*/*.receipt.json")
    path.write_bytes(path.read_bytes().replace(b'"rows": ', b'"rows": 1', 1))
    assert list(findings(centre)) == [str(path.relative_to(centre))]


@pytest.mark.parametrize("pattern", ["outbox/*/*.acknowledgement.json", "outbox/*/*.feedback.parquet"])
def test_every_edited_answer_is_named(centre: Path, pattern: str) -> None:
    path = first(centre, pattern)
    flip(path)
    assert list(findings(centre)) == [str(path.relative_to(centre))]


def test_an_edited_proposal_is_named(centre: Path) -> None:
    path = first(centre, "payments/*.proposal.csv")
    flip(path, -6)
    assert list(findings(centre)) == [str(path.relative_to(centre))]


# --- the journal -------------------------------------------------------------------------


def entry_path(centre: Path, kind: str) -> Path:
    return centre / "journal" / f"{entries(centre, kind)[0].sequence:08d}.json"


@pytest.mark.parametrize("kind", ["intake", "batch", "close"])
def test_an_edited_entry_breaks_signature_and_chain(centre: Path, kind: str) -> None:
    path = entry_path(centre, kind)
    document = json.loads(path.read_bytes())
    document["at"] += 1
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(canonical.encode() + b"\n")
    where = [finding.where for finding in verify(centre, PASSPHRASE) if finding.where.startswith("journal/")]
    following = path.with_name(f"{int(path.stem) + 1:08d}.json")
    assert where[:2] == [f"journal/{each.name}" for each in (path, following) if each.exists()][:2]


def test_whitespace_in_an_entry_is_found(centre: Path) -> None:
    path = entry_path(centre, "batch")
    path.write_bytes(path.read_bytes() + b"\n")
    assert f"journal/{path.name}" in findings(centre)


def test_an_unreadable_entry_is_named(centre: Path) -> None:
    path = entry_path(centre, "batch")
    path.write_bytes(path.read_bytes()[:-20])
    assert list(findings(centre)) == [str(path)]


def test_an_entry_removed_in_the_middle_is_found(centre: Path) -> None:
    path = entry_path(centre, "batch")
    path.unlink()
    (what,) = findings(centre).values()
    assert f"entry {path.name} is missing" in what


def test_entries_renumbered_over_a_removed_one_are_found(centre: Path) -> None:
    """Whoever closes the gap by renaming still has the sequence inside the signed entry against him."""
    removed = entry_path(centre, "batch")
    removed.unlink()
    for path in sorted(p for p in (centre / "journal").glob("*.json") if p.name > removed.name):
        path.rename(path.with_name(f"{int(path.stem) - 1:08d}.json"))
    (what,) = findings(centre).values()
    assert f"entry carries sequence {int(removed.stem) + 1}" in what


def remove_newest(centre: Path, count: int = 1) -> list[Path]:
    removed = sorted((centre / "journal").glob("*.json"))[-count:]
    for path in removed:
        path.unlink()
    return removed


def test_a_removed_newest_batch_leaves_its_traces(small_cleared: Path, tmp_path: Path) -> None:
    centre = copy_of(small_cleared, tmp_path / "centre")
    batch = entries(centre, "batch")[-1]
    remove_newest(centre)
    found = findings(centre)
    ahead = {f"segments/{segment['name']}" for segment in batch.body["segments"]}
    ahead |= {f"vault/{chunk['name']}" for chunk in batch.body["vault"]}
    ahead |= {f"{path} journal" for path in PROJECTIONS}
    assert ahead <= found.keys()
    assert [where for where in found if where.endswith(".receipt.json")]


def test_a_removed_newest_delivery_leaves_its_traces(small_cleared: Path, tmp_path: Path) -> None:
    centre = copy_of(small_cleared, tmp_path / "centre")
    last = entries(centre, "intake")[-1].body["file_no"]
    remove_newest(centre, count=2)
    found = findings(centre)
    assert f"archive/{last:08d}.data" in found
    assert [where for where in found if where.endswith(f"{last:08d}.acknowledgement.json")]


def test_a_removed_newest_close_leaves_its_traces(centre: Path) -> None:
    remove_newest(centre)
    found = findings(centre)
    assert {f"{path} windows" for path in PROJECTIONS} <= found.keys()


def test_a_removed_newest_close_leaves_its_traces_after_a_rebuild(centre: Path) -> None:
    remove_newest(centre)
    rebuild(centre, PASSPHRASE)
    assert [where for where in findings(centre) if where.startswith("payments/")], "the proposal is ahead"


# --- other code, other tariffs -------------------------------------------------------------


@pytest.fixture(scope="module")
def by_other_engine(closed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Rebuild, verify and recompute by an engine of another version that prices every journey one fen higher."""
    centre = copy_of(closed, tmp_path_factory.mktemp("other_engine") / "centre")
    answer = subprocess.run(
        [sys.executable, other_engine.__file__, str(centre), PASSPHRASE],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(clearing.__file__).resolve().parents[1])},
    )
    assert answer.returncode == 0, answer.stderr
    return centre, json.loads(answer.stdout)


def test_rebuild_runs_no_pricing(closed: Path, by_other_engine: tuple[Path, dict[str, Any]]) -> None:
    centre, answer = by_other_engine
    assert answer["verify"] == []
    for path in PROJECTIONS:
        assert tables_of(centre / path) == tables_of(closed / path)


def test_recomputing_lists_what_another_engine_decides(by_other_engine: tuple[Path, dict[str, Any]]) -> None:
    found = by_other_engine[1]["recompute"]
    batch = f"sealed by engine {__version__}, recomputed by {other_engine.VERSION}"
    assert [f for f in found if f["what"] == f"content_roots differ ({batch})"]
    assert [f for f in found if f["what"] == f"postings differ ({batch})"]
    rows = [f for f in found if f["where"].startswith("transaction ")]
    assert {row["what"] for row in rows} >= {
        "gross 200 → 201, operator_borne 0 → 1, price_verdict 1 → 3",
        "gross 200 → 201, card_paid 200 → 201, overcharge 100 → 99",
    }


def test_recomputing_uses_the_archived_configuration(closed: Path, tmp_path: Path) -> None:
    """A tariff, a limit and a register changed since the day was cleared change nothing of that day."""
    centre = copy_of(closed, tmp_path / "centre")
    bus = centre / "tariffs" / "demo.bus.yaml"
    bus.write_text(bus.read_text("utf-8").replace("flat: {fare: 200}", "flat: {fare: 250}"), "utf-8")
    settings = yaml.load((centre / "centre.yaml").read_text("utf-8"), yaml.CSafeLoader)
    settings["limits"]["retail"] = 1
    (centre / "centre.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), "utf-8")
    (centre / "registers" / "terminals.csv").write_text("terminal_id,merchant_id,valid_from,valid_to\n")
    assert verify_by_recomputing(centre, PASSPHRASE) == []


def test_recomputing_names_a_delivery_that_cannot_be_read(centre: Path) -> None:
    file_no = entries(centre, "batch")[0].body["files"][0]["file_no"]
    flip(centre / "archive" / f"{file_no:08d}.data")
    where = f"journal/{entries(centre, 'batch')[0].sequence:08d}.json"
    assert where in [finding.where for finding in verify_by_recomputing(centre, PASSPHRASE)]
