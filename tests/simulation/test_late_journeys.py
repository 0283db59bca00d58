"""Journeys of a bus that remembers, scattered over the windows of a week: late policies, owners, many runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor import audit
from evidence.centres import read_sent, send, sender_key

from clearing.verify import verify, verify_by_recomputing
from simulation.adapter import DAY, PASSPHRASE, City, run_engine, simulate_city
from simulation.comparison import differences, report

SEED = 11
ROWS = 6_000
RUNS = (1, 7) if "CAMPAIGN_SEEDS" in os.environ else (3,)
BUS = 220
"""The sender of the second bus company."""

TARIFF = "demo.bus_transfer.yaml"
IN_TARIFF = "late: {grace_days: 3, after_grace: forward}"
ARRIVALS = [f"2026-03-{day:02d}T{hour}" for day in (2, 3, 4, 5, 6) for hour in ("12:00:00", "22:00:00")]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return simulate_city(tmp_path_factory.mktemp("city"), seed=SEED, rows=ROWS)


def scattered(city: City, folder: Path, late: str, *, households: bool) -> City:
    """A copy of the city in which the bus company's records come in many small files, some of them days late."""
    centre = folder / "centre"
    shutil.copytree(city.centre, centre, ignore=shutil.ignore_patterns("inbox"))
    (centre / "inbox").mkdir()
    rules = centre / "tariffs" / TARIFF
    text = rules.read_text("utf-8")
    assert IN_TARIFF in text
    rules.write_text(text.replace(IN_TARIFF, late), "utf-8")
    if households:
        share_memory(centre / "registers" / "cards.parquet")
    rng = np.random.default_rng(SEED)
    outcomes = json.loads((city.truth / DAY / "truth.json").read_text("utf-8"))["files"]
    sound = [name for name in outcomes if outcomes[name] == "received" and name.startswith(f"{BUS:04d}-")]
    sequence = 0
    for sent in read_sent(city.deliveries, sound):
        part = rng.integers(0, len(ARRIVALS), len(sent.table))
        for number in np.unique(part).tolist():
            sequence += 1
            changes = {"file": f"{number}-{sent.manifest.file}", "sequence": sequence, "amount_fen": None}
            table = sent.table.filter(pa.array(part == number))
            send(
                centre / "inbox",
                table,
                sent.manifest,
                sender_key(city.centre, BUS),
                sent_at=ARRIVALS[number],
                **changes,
            )
    deliveries = folder / "deliveries"
    shutil.copytree(centre / "inbox", deliveries)
    shutil.copytree(city.truth, folder / "centre.truth")
    return City(centre, deliveries, folder / "centre.truth")


def share_memory(register: Path) -> None:
    """Every second card of the register keeps its memory under the card before it."""
    table = pq.read_table(register)
    card = table.column("card_id").to_numpy()
    owner = pa.array(card[np.maximum(np.arange(len(card)) // 2 * 2, 0)], mask=np.arange(len(card)) % 2 == 0)
    pq.write_table(table.append_column("owner_id", owner), register)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize(
    ("late", "households"),
    [
        ("late: {grace_days: 0, after_grace: reprice}", False),
        ("late: {grace_days: 1, after_grace: forward}", True),
        ("late: {grace_days: 1, after_grace: reject}", False),
    ],
)
def test_engine_and_auditor_agree(city: City, tmp_path: Path, late: str, households: bool, runs: int) -> None:
    mixed = scattered(city, tmp_path, late, households=households)
    found = audit(mixed.centre, mixed.deliveries, mixed.truth)
    moved = [row for row in found.rows.values() if len(row.history) > 1]
    assert moved, "late journeys were to change earlier fares"
    lines = list(differences(run_engine(mixed.centre, runs=runs), found))
    assert not lines, report(lines, SEED)
    assert verify(mixed.centre, PASSPHRASE) == []
    assert verify_by_recomputing(mixed.centre, PASSPHRASE) == []
