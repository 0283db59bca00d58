"""The auditor against the simulator's own truth: what was made wrong on purpose is found, and nothing else."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml
from auditor import AuditResult, audit

from clearing.status import ClearingStatus, PriceVerdict
from simulation.adapter import DAY, City, simulate_city
from simulation.comparison import report

SEED = 3
ROWS = 5_000
MONEY = ("card_paid", "overcharge", "fund_paid")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return simulate_city(tmp_path_factory.mktemp("city"), seed=SEED, rows=ROWS)


@pytest.fixture(scope="module")
def audited(city: City) -> AuditResult:
    return audit(city.centre, city.deliveries, city.truth)


def test_file_outcomes(city: City, audited: AuditResult) -> None:
    truth = json.loads((city.truth / DAY / "truth.json").read_text("utf-8"))
    assert audited.files == truth["files"]


def test_rows(city: City, audited: AuditResult) -> None:
    expected = pq.read_table(city.truth / DAY / "rows.parquet").to_pylist()
    assert len(expected) == len(audited.rows)
    settings = yaml.load((city.centre / "centre.yaml").read_text("utf-8"), yaml.CSafeLoader)
    fund_of_code = {one["fund"]: one["id"] for one in settings["participants"] if "fund" in one} | {0: 0}
    lines = []
    for line in expected:
        row = audited.rows[line["file"], line["source_row"]]
        true = {"status": ClearingStatus(line["status"]).name, "window": line["window"]}
        if true["status"] == "ACCEPTED":
            true["price_verdict"] = PriceVerdict(line["price_verdict"]).name
            if row.service == "transit":
                true["fund"] = fund_of_code[line["fund"]]
            true |= {name: line[name] for name in MONEY}
        found = {name: getattr(row, name) for name in true}
        if row.later_status:
            # The simulator knows what a grey record is, not what a close decides of it.
            found = {"status": "GREY_RECORD", "window": true["window"]}
        if found != true:
            lines.append(f"row {row.key} ({row.service}): truth {true}, auditor {found}")
    assert not lines, report(lines, SEED)
