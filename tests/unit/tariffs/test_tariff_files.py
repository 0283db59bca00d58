"""What the loader accepts, refuses and says; the inline tests of every file at hand."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tariffs
from tariffs import (
    Tariff,
    TariffDateError,
    TariffError,
    TariffFileError,
    TariffKindError,
    TransitJourneys,
    UtilityState,
    UtilityUsages,
    compile_segment,
    compile_tariff,
    load_tariff,
    load_tariff_book,
    price_transit,
    price_utility,
    run_inline_tests,
)

LIBRARY = Path(tariffs.__file__).parent / "library"
CASES = Path(__file__).resolve().parents[2] / "cases" / "tariffs"
REFUSED: dict[str, Any] = {
    kind: yaml.load((CASES / f"refused_{kind}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    for kind in ("transit", "medical", "utility")
}
BASE: str = REFUSED["transit"]["base"]
FILES = sorted([*LIBRARY.glob("*.yaml"), *(CASES / "priced").glob("*.yaml")])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The faultless file of refused_transit.yaml."""
    file = tmp_path / "base.yaml"
    file.write_text(BASE, encoding="utf-8")
    return file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_inline_tests_hold(file: Path) -> None:
    assert run_inline_tests(load_tariff(file)) == []


def test_the_library_is_a_book() -> None:
    book = load_tariff_book(LIBRARY)
    assert {tariff.id for tariff in book} >= {"demo.metro", "demo.medical", "demo.water", "shenzhen.bus"}
    assert len(book) == len(list(LIBRARY.glob("*.yaml")))
    assert "demo.bus" in book
    with pytest.raises(TariffError, match=r"no tariff demo\.ship; the book holds beijing\.subway, "):
        book["demo.ship"]


def test_a_book_refuses_one_id_in_two_files(base: Path) -> None:
    (base.parent / "copy.yaml").write_text(base.read_text())
    with pytest.raises(TariffFileError, match=r"base\.yaml has this id") as refusal:
        load_tariff_book(base.parent)
    assert refusal.value.path == "id"


@pytest.mark.parametrize("kind", REFUSED)
def test_the_files_of_the_refusals_are_faultless(base: Path, kind: str) -> None:
    base.write_text(REFUSED[kind]["base"], encoding="utf-8")
    assert run_inline_tests(load_tariff(base)) == []


@pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(kind, case, id=case["name"]) for kind, group in REFUSED.items() for case in group["cases"]],
)
def test_refusals_name_the_place(base: Path, kind: str, case: dict[str, str]) -> None:
    text = REFUSED[kind]["base"]
    assert text.count(case["replace"]) == 1, "the case must change exactly one place"
    base.write_text(text.replace(case["replace"], case["by"]), encoding="utf-8")
    with pytest.raises(TariffFileError) as refusal:
        load_tariff(base)
    assert refusal.value.file == base
    assert refusal.value.path == case["at"], str(refusal.value)
    assert refusal.value.remedy


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TariffFileError, match="cannot be read"):
        load_tariff(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(TariffFileError, match="a tariff file is a mapping"):
        load_tariff(tmp_path / "list.yaml")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("entry,exit,fare\n1,2,300\n2,1,300\n", "the pair stands twice"),
        ("entry,exit,fare\n1,2,-1\n", "fares are not negative"),
        ("entry,exit,fare\n", "the table is empty"),
        ("entry,exit,fare\n1,2,3.00\n", "write integers only"),
        ("entry,exit,fare\n1,2\n", "write 3 values"),
        ("entry,exit,exit\n1,2,3\n", "name every column once"),
        ("entry,exit,price\n1,2,300\n", "has the columns entry, exit, price"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, content: str, remedy: str) -> None:
    with pytest.raises(TariffFileError, match=remedy):
        pair_tariff(tmp_path, content)


def test_an_altered_table_is_refused(tmp_path: Path) -> None:
    tariff = pair_tariff(tmp_path, "entry,exit,fare\n1,2,300\n")
    (tmp_path / "pairs.csv").write_text("entry,exit,fare\n1,2,200\n")
    with pytest.raises(TariffFileError, match="check its changes") as refusal:
        load_tariff(tariff.file)
    assert refusal.value.path == "tables.pairs.sha256"


def pair_tariff(folder: Path, table: str) -> Tariff:
    """A tariff with one undirected look-up in ``table``."""
    (folder / "pairs.csv").write_text(table)
    header = BASE.split("values:")[0]
    digest = hashlib.sha256(table.encode()).hexdigest()
    file = folder / "pairs.yaml"
    file.write_text(f"""{header}
tables: {{pairs: {{file: pairs.csv, sha256: {digest}}}}}
steps: [{{lookup: {{table: pairs, directed: false, columns: {{all: fare}}}}}}]
tests: [{{name: none, date: 2024-05-01, rows: [{{transfer: 0}}], expect: [{{priced: false}}]}}]
""")
    return load_tariff(file)


def test_stations_spread_wide_are_searched(tmp_path: Path) -> None:
    """Ids too far apart for a direct table give the same answers, extremes of int64 included."""
    far = 263_027_121_000
    tariff = pair_tariff(tmp_path, f"entry,exit,fare\n-7,{far},300\n{far},{far},200\n")
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    journeys = TransitJourneys.of(
        5, entry_station=[-7, far, far, lowest, highest], exit_station=[far, -7, far, far, -7]
    )
    prices = price_transit(compile_segment(tariff, 0), journeys)
    assert prices.gross.tolist() == [300, 300, 200, 0, 0]
    assert prices.priced.tolist() == [True, True, True, False, False]


def test_stations_close_together_use_a_direct_table(tmp_path: Path) -> None:
    tariff = pair_tariff(tmp_path, "entry,exit,fare\n3,9,300\n")
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    journeys = TransitJourneys.of(
        8, entry_station=[3, 9, 3, 2, 10, lowest, highest, 5], exit_station=[9, 3, 3, 9, 9, 9, 9, 9]
    )
    assert price_transit(compile_segment(tariff, 0), journeys).gross.tolist() == [300, 300, 0, 0, 0, 0, 0, 0]


def test_segments_follow_the_dates(base: Path) -> None:
    tariff = load_tariff(base)
    assert [(segment.first, segment.last) for segment in tariff.segments] == [
        (date(2024, 1, 1), date(2024, 12, 31)),
        (date(2025, 1, 1), date(2026, 12, 31)),
    ]
    days = np.array(["2023-12-31", "2024-01-01", "2024-12-31", "2025-01-01", "2026-12-31", "2027-01-01"], "M8[D]")
    assert tariff.segment_of(days.astype(np.int32)).tolist() == [-1, 0, 0, 1, 1, -1]
    assert compile_tariff(tariff, date(2025, 6, 1)).segment_name == "2025-01-01..2026-12-31"
    for day in (date(2023, 12, 31), date(2027, 1, 1)):
        with pytest.raises(TariffDateError, match=f"case.base: no price published for {day}"):
            compile_tariff(tariff, day)


def test_tariffs_price_only_their_kind() -> None:
    book = load_tariff_book(LIBRARY)
    water = compile_segment(book["demo.water"], 0)
    assert water.component_names == ("water", "resource", "sewage")
    with pytest.raises(TariffKindError, match=r"demo\.water is a utility tariff"):
        price_transit(water, TransitJourneys.of(1))
    bus = compile_segment(book["demo.bus"], 0)
    assert bus.component_names == ()
    with pytest.raises(TariffKindError, match=r"demo\.bus is a transit tariff"):
        price_utility(bus, UtilityUsages.zeros(0), UtilityState.zeros(0))


def test_a_wrong_expectation_is_reported(base: Path) -> None:
    base.write_text(BASE.replace("expect: [{gross: 200}]", "expect: [{gross: 201, rule: flat}]"))
    failures = run_inline_tests(load_tariff(base))
    assert [(f.column, f.expected, f.actual, f.rule) for f in failures] == [
        ("gross", 201, 200, "factor"),
        ("rule", "flat", "factor", "factor"),
    ]


@pytest.mark.parametrize(
    ("replace", "by"),
    [
        ("expect: [{gross: 200}]", "expect: [{gros: 200}]"),
        ("expect: [{gross: 200}]", "expect: [{gross: 200}, {gross: 300}]"),
        ("rows: [{distance_m: 1}]", "rows: [{distance: 1}]"),
        ("rows: [{distance_m: 1}]", "rows: [{card_class: pensioner}]"),
        ("rows: [{distance_m: 1}]", "rows: [{card_class: 256}]"),
    ],
)
def test_a_misspelt_inline_test_is_refused(base: Path, replace: str, by: str) -> None:
    base.write_text(BASE.replace(replace, by))
    with pytest.raises(TariffFileError, match=r"tests\[0\]"):
        run_inline_tests(load_tariff(base))
