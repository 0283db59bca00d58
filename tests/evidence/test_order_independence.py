"""The same transactions in another order, in other files, on other threads or partitions: the same ledger."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from clearing import arrivals, batch, prepare, spill
from clearing.calendar import seconds_of
from clearing.centre import Centre
from clearing.verify import verify
from evidence.centres import (
    PASSPHRASE,
    WINDOW_ENDS,
    Ledger,
    Sent,
    clear,
    copy_of,
    entries,
    ledger_of,
    read_sent,
    send,
    sender_key,
)

COMPARED = (
    "txn_id, service, status, disposition, linked_txn_id, segment, rule, price_verdict, card_paid, overcharge, fund, "
    "fund_paid, posting_template"
)

Cut = Callable[[Sent, np.random.Generator], Iterator[tuple[pa.Table, dict[str, Any]]]]
"""From a delivery to the deliveries that carry its rows: table and changes of the manifest."""


@pytest.fixture(scope="module")
def sound(heavy_day: Path, cleared: Path) -> list[Sent]:
    """The deliveries that were received; refused ones carry no rows."""
    names = [entry.body["file"] for entry in entries(cleared, "intake") if entry.body["outcome"] == "received"]
    return read_sent(heavy_day / "inbox", names)


def unchanged(sent: Sent, _: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
    yield sent.table, {}


def shuffled(sent: Sent, rng: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
    yield sent.table.take(rng.permutation(len(sent.table))), {}


def renamed(sent: Sent, _: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
    number = 9_999 - sent.manifest.sequence
    name = f"{number:04d}-{sent.manifest.service}-{sent.manifest.sender}.parquet"
    yield sent.table, {"file": name, "sequence": number}


def split_in_two(sent: Sent, rng: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
    if len(sent.table) < 2:
        yield sent.table, {"sequence": sent.manifest.sequence * 2}
        return
    chosen = rng.random(len(sent.table)) < 0.5
    chosen[:2] = True, False
    for part, mask in enumerate((chosen, ~chosen)):
        name = f"part{part}-{sent.manifest.file}"
        changes = {"file": name, "sequence": sent.manifest.sequence * 2 + part, "amount_fen": None}
        yield sent.table.filter(pa.array(mask)), changes


def recut(heavy_day: Path, sound: list[Sent], target: Path, cut: Cut, *, seed: int = 7) -> Path:
    """A copy of the day whose inbox holds the sound deliveries, cut anew and signed by their senders."""
    centre = copy_of(heavy_day, target)
    shutil.rmtree(centre / "inbox")
    (centre / "inbox").mkdir()
    rng = np.random.default_rng(seed)
    for sent in sound:
        for table, changes in cut(sent, rng):
            send(centre / "inbox", table, sent.manifest, sender_key(heavy_day, sent.manifest.sender), **changes)
    return centre


@pytest.mark.parametrize("cut", [unchanged, shuffled, renamed, split_in_two], ids=lambda cut: cut.__name__)
def test_cut_and_order_of_files_do_not_matter(
    heavy_day: Path, sound: list[Sent], undisturbed: Ledger, tmp_path: Path, cut: Cut
) -> None:
    centre = recut(heavy_day, sound, tmp_path / "centre", cut)
    clear(centre)
    outcomes = [(e.body["file"], e.body["outcome"], e.body["reason"]) for e in entries(centre, "intake")]
    assert [outcome for outcome in outcomes if outcome[1] != "received"] == []
    assert ledger_of(centre).money == undisturbed.money


def set_threads(centre: Path, threads: int) -> None:
    path = centre / "centre.yaml"
    text = path.read_text("utf-8")
    assert "threads: 2" in text
    path.write_text(text.replace("threads: 2", f"threads: {threads}"), "utf-8")


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_matter(
    heavy_day: Path, undisturbed: Ledger, tmp_path: Path, threads: int
) -> None:
    centre = copy_of(heavy_day, tmp_path / "centre")
    set_threads(centre, threads)
    clear(centre)
    found = ledger_of(centre)
    assert found.money == undisturbed.money
    assert (found.receipts, found.feedback) == (undisturbed.receipts, undisturbed.feedback)


@pytest.mark.parametrize("lot_rows", [1, 40], ids=["every file alone", "many blocks of few files"])
def test_lots_do_not_matter(
    heavy_day: Path, undisturbed: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lot_rows: int
) -> None:
    """Which files are prepared together decides nothing; the undisturbed day has lots of several."""
    opened = Centre.open(heavy_day, PASSPHRASE)
    assert max(map(len, arrivals.lots_of(arrivals.due_arrivals(opened, seconds_of(WINDOW_ENDS[-1]))[0]))) > 1
    for module in (arrivals, prepare):
        monkeypatch.setattr(module, "LOT_ROWS", lot_rows)
    centre = copy_of(heavy_day, tmp_path / "centre")
    clear(centre)
    found = ledger_of(centre)
    assert found.money == undisturbed.money
    assert (found.receipts, found.feedback) == (undisturbed.receipts, undisturbed.feedback)
    assert verify(centre, PASSPHRASE) == []


@pytest.mark.parametrize("memory", [60_000, 1 << 20], ids=["what is compared spilled", "what is written spilled"])
def test_partitions_do_not_matter(
    heavy_day: Path, undisturbed: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    monkeypatch.setattr(spill, "IN_MEMORY_ROWS", 700)
    monkeypatch.setattr(spill, "IN_MEMORY_BYTES", memory)
    monkeypatch.setattr(spill, "PARTITION_ROWS", 700)
    monkeypatch.setattr(spill, "SCATTERED_ROWS", 300)
    monkeypatch.setattr(batch, "SEGMENT_ROWS", 700)
    centre = copy_of(heavy_day, tmp_path / "centre")
    clear(centre)
    names = [segment["name"] for segment in entries(centre, "batch")[0].body["segments"]]
    assert len([name for name in names if name.startswith("transit/")]) >= 4, "the day was to be cut"
    found = ledger_of(centre)
    assert found.money == undisturbed.money
    assert (found.receipts, found.feedback) == (undisturbed.receipts, undisturbed.feedback)
    assert not (centre / "work" / "spill").exists()
    assert verify(centre, PASSPHRASE) == []


def test_everything_at_once(
    heavy_day: Path, sound: list[Sent], undisturbed: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "IN_MEMORY_ROWS", 1_500)
    monkeypatch.setattr(spill, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(spill, "PARTITION_ROWS", 1_500)
    monkeypatch.setattr(spill, "SCATTERED_ROWS", 400)
    monkeypatch.setattr(batch, "SEGMENT_ROWS", 900)

    def cut(sent: Sent, rng: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
        for table, changes in split_in_two(sent, rng):
            yield table.take(rng.permutation(len(table))), changes

    centre = recut(heavy_day, sound, tmp_path / "centre", cut)
    set_threads(centre, 1)
    clear(centre)
    assert ledger_of(centre).money == undisturbed.money


def window_of(sent_at: str) -> str:
    """Deliveries sent before 04:00 belong to the window of the day before."""
    return (datetime.datetime.fromisoformat(sent_at) - datetime.timedelta(hours=4)).date().isoformat()


@pytest.mark.parametrize("seed", [1, 2] if "CAMPAIGN_SEEDS" in os.environ else [1])
def test_runs_in_between_do_not_matter(heavy_day: Path, sound: list[Sent], tmp_path: Path, seed: int) -> None:
    """Each delivery comes in three parts, each at some arrival of its window; the centre runs often, or once."""
    arrivals = sorted({sent.manifest.sent_at for sent in sound})

    def scattered(sent: Sent, rng: np.random.Generator) -> Iterator[tuple[pa.Table, dict[str, Any]]]:
        own = [at for at in arrivals if window_of(at) == window_of(sent.manifest.sent_at)]
        part = rng.integers(0, 3, len(sent.table))
        for number in range(3):
            changes = {"file": f"{number}-{sent.manifest.file}", "sequence": sent.manifest.sequence * 3 + number}
            changes |= {"amount_fen": None, "sent_at": own[int(rng.integers(len(own)))]}
            yield sent.table.filter(pa.array(part == number)), changes

    often = recut(heavy_day, sound, tmp_path / "often", scattered, seed=seed)
    once = copy_of(often, tmp_path / "once")
    rng = np.random.default_rng(seed)
    clear(often, [*(at for at in arrivals if rng.random() < 0.2), WINDOW_ENDS[-1]])
    clear(once, WINDOW_ENDS[-1:])
    batches = entries(often, "batch")
    assert len(batches) > 5
    assert any("events" in segment["name"] for entry in batches for segment in entry.body["segments"])
    assert_same_decisions(often, once)
    assert ledger_of(often).money == ledger_of(once).money
    assert verify(often, PASSPHRASE) == []


def assert_same_decisions(often: Path, once: Path) -> None:
    """Transaction by transaction, so that a difference says where it is."""
    question = f"SELECT {COMPARED} FROM decisions ORDER BY txn_id"
    found = []
    for centre in (often, once):
        with contextlib.chdir(centre), duckdb.connect("ledger.duckdb", read_only=True) as connection:
            found.append(connection.execute(question).fetchall())
    first = [(a, b) for a, b in zip(*found, strict=True) if a != b][:5]
    assert first == []
