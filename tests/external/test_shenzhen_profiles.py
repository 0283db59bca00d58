"""The ready profiles on 35,100 real Shenzhen records: every row, three spellings of the same data."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from card_io.delivery import Decoded, Manifest, code_of, read_delivery
from card_io.delivery.profile import PACKAGED
from card_io.records import NULL, RecordBlock, bcd_to_int

pytestmark = pytest.mark.external

SLICES = [("szt_10000.csv", "szt-csv-10000", 10_000, 369), ("szt_25000.csv", "szt-csv-25000", 25_000, 945)]


@pytest.fixture(scope="module")
def shenzhen(shared_data: Path) -> Path:
    return shared_data / "shenzhen-tong"


def _decode(path: Path, delivery_format: str, folders: tuple[Path, ...] = ()) -> RecordBlock:
    manifest = Manifest.model_validate(
        {
            "format_version": 1,
            "sender": 7000,
            "service": "transit",
            "file_date": "2018-09-01",
            "sequence": 1,
            "file": path.name,
            "format": delivery_format,
            "rows": 1,
            "amount_fen": None,
            "sha256": "0" * 64,
            "sent_at": "2018-09-01T12:00:00",
        }
    )
    decoded: list[Decoded] = list(read_delivery(path, manifest, folders))
    assert [rows for _, rows in decoded if rows] == []
    (block,) = [block for block, _ in decoded]
    return block


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _expected(row: dict[str, str]) -> dict[str, Any]:
    """One record by plain Python, independent of the profile's vector code."""
    name = row.get("station", "-")
    station = NULL if name in ("", "-") else code_of(name)
    car = row.get("car_no", "-")
    kind = row["deal_type"]
    return {
        "card": row["card_no"],
        "date": int(row["deal_date"][:10].replace("-", "")),
        "time": int(row["deal_date"][11:].replace(":", "")),
        "amount": int(row["deal_money"]),
        "gross_fare": int(row["deal_value"]),
        "terminal_id": int(row["equ_no"]),
        "mode": 2 if kind == "巴士" else 1,
        "line": station if kind == "巴士" else NULL,
        "entry_station": station if kind == "地铁入站" else NULL,
        "exit_station": station if kind == "地铁出站" else NULL,
        "vehicle": NULL if car in ("", "-") else code_of(car),
        "transfer_flag": int(row["conn_mark"]),
    }


def _found(block: RecordBlock) -> list[dict[str, Any]]:
    names = ["amount", "gross_fare", "terminal_id", "mode", "line", "entry_station", "exit_station", "vehicle"]
    columns = {name: block.columns[name].tolist() for name in [*names, "transfer_flag"]}
    columns["date"] = bcd_to_int(block.columns["date4"], 8).tolist()
    columns["time"] = bcd_to_int(block.columns["time3"], 6).tolist()
    columns["card"] = [block.card_text[position] for position in range(len(block))]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize(("file", "profile", "rows", "without_station"), SLICES)
def test_every_csv_row_is_decoded_as_it_reads(
    shenzhen: Path, file: str, profile: str, rows: int, without_station: int
) -> None:
    block = _decode(shenzhen / file, profile)
    assert block.source_row.tolist() == list(range(1, rows + 1))
    assert _found(block) == [_expected(row) for row in _rows(shenzhen / file)]
    places = np.stack([block.columns[name] for name in ("line", "entry_station", "exit_station")])
    assert int((places == NULL).all(axis=0).sum()) == without_station
    assert int((block.columns["vehicle"] == NULL).sum()) == without_station
    for name in ("card_counter", "terminal_counter", "balance_before", "balance_after", "tac"):
        assert (block.columns[name] == NULL).all(), name


def test_merchants_are_the_companies_one_to_one(shenzhen: Path) -> None:
    pairs = set()
    for file, profile, _, _ in SLICES:
        numbers = _decode(shenzhen / file, profile).columns["merchant_id"].tolist()
        pairs |= set(zip((row["company_name"] for row in _rows(shenzhen / file)), numbers, strict=True))
    assert len(pairs) == len({name for name, _ in pairs}) == len({number for _, number in pairs}) == 13


@pytest.mark.parametrize(("file", "profile", "rows", "without_station"), SLICES)
def test_a_gbk_copy_decodes_to_identical_columns(
    shenzhen: Path, tmp_path: Path, file: str, profile: str, rows: int, without_station: int
) -> None:
    copy = tmp_path / file
    copy.write_bytes((shenzhen / file).read_bytes().decode("utf-8").encode("gbk"))
    for name in (f"{profile}.yaml", "szt-records.base.yaml"):
        content = yaml.load((PACKAGED / name).read_text("utf-8"), yaml.CSafeLoader)
        (tmp_path / name).write_text(yaml.safe_dump({**content, "encoding": "gbk"}, allow_unicode=True), "utf-8")
    ours, theirs = _decode(copy, profile, (tmp_path,)), _decode(shenzhen / file, profile)
    assert ours.card_text == theirs.card_text
    for name, values in theirs.columns.items():
        assert np.array_equal(ours.columns[name], values), name


def test_the_json_page_equals_its_csv_rows(shenzhen: Path) -> None:
    page = _decode(shenzhen / "page1x100.json", "szt-json-page")
    records = json.loads((shenzhen / "page1x100.json").read_text("utf-8"))["data"]
    assert _found(page) == [_expected(record) for record in records]
    in_csv = Counter(tuple(row.values()) for row in _found(_decode(shenzhen / "szt_10000.csv", "szt-csv-10000")))
    assert not Counter(tuple(row.values()) for row in _found(page)) - in_csv
