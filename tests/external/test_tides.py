"""The TIDES export against the published table schema of fare_transactions, v1.0."""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from clearing.calendar import seconds_of
from clearing.engine import run_centre
from clearing.export import export_centre
from clearing.initialise import initialise_centre
from clearing.simulate import simulate_day

pytestmark = pytest.mark.external

PASSPHRASE = "tides"

READS: dict[str, Callable[[str], object]] = {
    "string": str,
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
    "integer": int,
    "number": lambda text: re.fullmatch(r"-?\d+(\.\d+)?", text)[0],  # type: ignore[index]
    "boolean": lambda text: {"true": True, "false": False}[text],
}


def test_fare_transactions_fit_the_schema(shared_data: Path, tmp_path: Path, answered: Callable[[int], None]) -> None:
    schema = json.loads((shared_data / "tides" / "spec" / "fare_transactions.schema.json").read_text("utf-8"))
    centre = tmp_path / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    simulate_day(
        centre, date=datetime.date(2026, 3, 2), transactions=500, seed=5, faults="default", passphrase=PASSPHRASE
    )
    run_centre(centre, passphrase=PASSPHRASE, now=seconds_of("2026-03-03T05:00:00"))
    path = tmp_path / "fare_transactions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        export_centre(centre, "tides", file, passphrase=PASSPHRASE)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        columns = reader.fieldnames

    assert columns == [field["name"] for field in schema["fields"]] or set(columns or ()) == {
        field["name"] for field in schema["fields"]
    }
    assert len(rows) > 100
    compared = 0
    for field in schema["fields"]:
        values = [row[field["name"]] for row in rows]
        given = [value for value in values if value not in schema["missingValues"]]
        rules = field.get("constraints", {})
        read = [READS[field["type"]](value) for value in given]
        compared += len(read)
        if rules.get("required"):
            assert len(given) == len(rows), field["name"]
        if rules.get("unique") or field["name"] == schema["primaryKey"]:
            assert len(set(given)) == len(rows)
        if "enum" in rules:
            assert set(given) <= set(rules["enum"]), field["name"]
        if "minimum" in rules:
            assert all(value >= rules["minimum"] for value in read), field["name"]  # type: ignore[operator]
    answered(compared)
