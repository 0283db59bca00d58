"""What the analyst commands compute: rows in and out, explanations, differences, the schema."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import tariffs
from tariffs import (
    MedicalLedger,
    MedicalVisits,
    Tariff,
    TariffDateError,
    TariffError,
    TariffFileError,
    TariffKindError,
    TransitJourneys,
    compile_tariff,
    load_tariff,
    price_transit,
    settle_visits,
)
from tariffs.analyst.charts import moved_svg, moved_text
from tariffs.analyst.diff import change_columns, diff, difference_columns, first_moved
from tariffs.analyst.explain import explain, read_event
from tariffs.analyst.json_schema import json_schema
from tariffs.analyst.price import EXCLUDED, NOT_COVERED, OUTSIDE, PRICED, answer_columns, price_file, reasons_of
from tariffs.analyst.row_files import read_rows, read_table, write_table
from tariffs.errors import ParameterError
from tariffs.vocabulary import STEPS_OF_KIND
from tariffs.written import value_of, written_of

LIBRARY = Path(tariffs.__file__).parent / "library"
RULE_FILES = sorted(LIBRARY.glob("*.yaml"))
DAY = date(2026, 3, 2)
TEXTS = {
    "outside": "outside",
    "not_covered": "no step",
    "excluded": "by {step}",
    "lacking": "{column} for {step}",
    "behind": "behind",
}


def library(name: str) -> Tariff:
    return load_tariff(LIBRARY / f"{name}.yaml")


def rows_file(folder: Path, text: str) -> Path:
    file = folder / "rows.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_csv_is_priced_as_the_same_columns_are(tmp_path: Path) -> None:
    tariff = library("demo.metro")
    file = rows_file(
        tmp_path,
        "\ufeffentry_station,exit_station,card_class,entry_time,incomplete,note\n"
        "101,103,adult,2026-03-02T08:00:00,0,first\n105,101,student,2026-03-02 09:30,0,\n"
        "101,999,0,2026-03-02T10:00,0,no fare\n",
    )
    given = read_rows(file, tariff, keep=["note"])
    result = price_file(tariff, given)
    journeys = TransitJourneys.of(
        3, entry_station=[101, 105, 101], exit_station=[103, 101, 999], card_class=[0, 1, 0]
    )
    prices = price_transit(compile_tariff(tariff, DAY), journeys)
    for name in ("gross", "card_pays", "fund_pays", "operator_bears", "fund"):
        np.testing.assert_array_equal(result.priced.amounts[name], getattr(prices, name))
    assert result.reason.tolist() == [PRICED, PRICED, NOT_COVERED]
    columns = answer_columns(tariff, result, reasons_of(tariff, result, TEXTS))
    write_table(tmp_path / "out.csv", columns)
    write_table(tmp_path / "out.parquet", columns)
    for out in (pa_csv.read_csv(tmp_path / "out.csv"), pq.read_table(tmp_path / "out.parquet")):
        assert out["card_pays"].to_pylist() == [200, 150, 0]
        assert out["rule"].to_pylist() == ["lookup.fares", "concession.student", "not covered"]
        assert out["reason"].to_pylist() == ["", "", "no step"]
        assert out.column_names[:5] == ["entry_station", "exit_station", "card_class", "entry_time", "incomplete"]


def test_parquet_types_are_read(tmp_path: Path) -> None:
    tariff = library("demo.bus")
    file = tmp_path / "rows.parquet"
    classes = pa.array(["adult", "elderly"]).dictionary_encode()
    pq.write_table(pa.table({"date": [DAY, None], "card_class": classes, "transfer": [True, False]}), file)
    with pytest.raises(TariffFileError, match="every row needs its day") as refusal:
        read_rows(file, tariff)
    assert refusal.value.path == "row 2, date"
    given = read_rows(file, tariff, day=DAY)
    assert price_file(tariff, given).priced.amounts["card_pays"].tolist() == [160, 0]


def test_every_unpriced_row_has_its_reason(tmp_path: Path) -> None:
    tariff = library("demo.bus")
    text = (LIBRARY / "demo.bus.yaml").read_text("utf-8").replace("others: full_fare", "others: not_covered")
    (tmp_path / "strict.yaml").write_text(text, encoding="utf-8")
    strict = load_tariff(tmp_path / "strict.yaml")
    file = rows_file(
        tmp_path, "date,card_class,transfer\n2026-03-02,adult,0\n2019-12-31,adult,0\n2026-03-02,student,0\n"
    )
    result = price_file(strict, read_rows(file, strict))
    assert result.reason.tolist() == [EXCLUDED, OUTSIDE, PRICED]
    assert reasons_of(strict, result, TEXTS) == ["by concession", "outside", ""]
    assert result.priced.segment.tolist() == [0, -1, 0]
    assert price_file(tariff, read_rows(file, tariff)).reason.tolist() == [PRICED, OUTSIDE, PRICED]


@pytest.mark.parametrize(
    ("text", "path", "remedy"),
    [
        ("date,fare\n2026-03-02,200\n", "header", "no such column for a transit tariff"),
        ("card_class\nadult\n", "row 1, date", "every row needs its day"),
        ("date,card_class\n2026-03-02,adult\n2026-03-02,pensioner\n", "row 2, card_class", "write one of: adult"),
        ("date,gross_fare\n2026-03-02,2.00\n", "row 1, gross_fare", "write an integer"),
        ("date\n02.03.2026\n", "row 1, date", "YYYY-MM-DD"),
        ("date,entry_time\n2026-03-02,8:00\n", "row 1, entry_time", "YYYY-MM-DDTHH:MM:SS"),
        ("date,card_class\n2026-03-02,256\n", "", "the column can hold"),
        ("date,mode\n2026-03-02\n", "", "CSV"),
    ],
)
def test_bad_rows_are_refused_by_name(tmp_path: Path, text: str, path: str, remedy: str) -> None:
    with pytest.raises(TariffFileError, match=remedy) as refusal:
        read_rows(rows_file(tmp_path, text), library("demo.bus"))
    assert refusal.value.path == path


def test_an_owner_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(TariffFileError, match="needs this column") as refusal:
        read_rows(rows_file(tmp_path, "date,usage_milli\n2026-03-02,1000\n"), library("demo.water"))
    assert refusal.value.path == "account"
    with pytest.raises(TariffFileError, match="CSV"):
        read_table(tmp_path / "absent.csv")


def test_medical_rows_keep_their_counters_over_dated_segments(tmp_path: Path) -> None:
    """Two segments meet at the new year; a year's counters do not, so each row settles as it would alone."""
    tariff = library("demo.medical")
    file = rows_file(
        tmp_path,
        "person,settle_day,insured,level,category_a,category_b,category_c,over_limit,account_available,purse_available\n"
        "7,2025-12-30,310,1,60000,0,0,0,0,0\n7,2025-12-31,310,1,60000,0,0,0,0,0\n"
        "7,2026-01-02,310,1,60000,0,0,0,0,0\n7,2026-01-03,999,1,60000,0,0,0,0,0\n",
    )
    result = price_file(tariff, read_rows(file, tariff))
    expected = []
    for day, count in (("2025-12-31", 2), ("2026-01-02", 1)):
        visits = MedicalVisits.of(
            count,
            person=7,
            sequence=np.arange(count),
            settle_day=value_of("_day", day),
            insured=310,
            level=1,
            category_a=60_000,
        )
        run = settle_visits(compile_tariff(tariff, date.fromisoformat(day)), visits, MedicalLedger.empty())
        expected += run.settlements.hifp_pay.tolist()
    assert result.priced.amounts["hifp_pay"].tolist() == [*expected, 0]
    assert result.reason.tolist() == [PRICED, PRICED, PRICED, NOT_COVERED]


def test_utility_components_come_out_by_name(tmp_path: Path) -> None:
    tariff = library("demo.water")
    file = rows_file(
        tmp_path, "account,period_day,usage_milli,household\n1,2026-03-02,180000,3\n1,2026-05-02,80000,3\n"
    )
    amounts = price_file(tariff, read_rows(file, tariff)).priced.amounts
    assert amounts["gross"].tolist() == [90_000, 56_000]
    assert amounts["water"].tolist() == [37_260, 32_560]
    assert (amounts["gross"] == amounts["water"] + amounts["resource"] + amounts["sewage"]).all()


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_explanations_end_at_the_price(file: Path) -> None:
    """Each first row of the inline tests: steps follow each other without a gap and end at the tested answer."""
    tariff = load_tariff(file)
    for test in tariff.tests:
        event = {name: value_of(name, str(value)) for name, value in test.rows[0].items()}
        explained = explain(tariff, event, day=test.date)
        for earlier, later in zip(explained.steps, explained.steps[1:], strict=False):
            assert earlier.after == later.before
        for name, value in test.expect[0].items():
            if name in explained.last.after:
                assert explained.last.after[name] == value
        assert explained.last.priced == test.expect[0].get("priced", True)


def test_an_explanation_shows_each_step() -> None:
    tariff = library("demo.bus")
    event = read_event("transit", ["card_class=student", "date=2026-03-02"])
    steps = explain(tariff, event).steps
    assert [step.step for step in steps] == ["flat", "concession", "transfer", "split"]
    assert [step.after["card_pays"] for step in steps] == [200, 100, 100, 100]
    assert [step.changed for step in steps][1:] == [
        ("card_pays", "operator_bears"),
        (),
        ("fund_pays", "fund", "operator_bears"),
    ]
    assert steps[0].rule == "flat"
    assert steps[-1].rule == "concession.student"


def test_an_explanation_knows_the_history(tmp_path: Path) -> None:
    tariff = library("demo.water")
    history = read_rows(rows_file(tmp_path, "account,date,usage_milli,household\n4,2026-01-05,180000,3\n"), tariff)
    event = read_event("utility", ["usage_milli=1000", "date=2026-03-02"])
    assert explain(tariff, event).last.after["gross"] == 500
    assert explain(tariff, event, history.dated).last.after["gross"] == 700


def test_wrong_events_are_refused() -> None:
    for pair in ("fare=1", "card_class", "card_class=pensioner"):
        with pytest.raises(ParameterError):
            read_event("transit", [pair])
    with pytest.raises(TariffDateError):
        explain(library("demo.bus"), {"card_class": 0}, day=date(2019, 1, 1))


def test_a_difference_is_counted_by_class_and_operator(tmp_path: Path) -> None:
    old = library("demo.bus")
    text = (LIBRARY / "demo.bus.yaml").read_text("utf-8").replace("flat: {fare: 200}", "flat: {fare: 300}")
    (tmp_path / "new.yaml").write_text(
        text.replace("student: {per_10000: 5000", "student: {per_10000: 2000"), "utf-8"
    )
    file = rows_file(
        tmp_path,
        "id,date,card_class,operator,transfer\na,2026-03-02,adult,1,0\nb,2026-03-02,student,1,0\n"
        "c,2026-03-02,elderly,2,0\nd,2019-01-01,adult,2,0\n",
    )
    given = read_rows(file, old, keep=["id"])
    difference = diff(old, load_tariff(tmp_path / "new.yaml"), given)
    assert difference.differ.tolist() == [True, True, True, False]
    assert (difference.gained, difference.lost) == (0, 0)
    assert difference.total.moved == {"card_pays": 60, "fund_pays": 170, "operator_bears": 70}
    found = {
        (each.column, each.value): (each.rows, each.differ, each.dearer, first_moved(each))
        for each in difference.groups
    }
    assert found == {
        ("card_class", "adult"): (2, 1, 1, 100),
        ("card_class", "student"): (1, 1, 0, -40),
        ("card_class", "elderly"): (1, 1, 0, 0),
        ("operator", "1"): (2, 2, 1, 60),
        ("operator", "2"): (2, 1, 0, 0),
    }
    columns = difference_columns(given, difference)
    assert pa.array(columns["id"].to_pylist()).to_pylist() == ["a", "b", "c"]  # type: ignore[attr-defined]
    assert list(columns["new_card_pays"]) == [300, 60, 0]  # type: ignore[call-overload]
    assert change_columns([difference.total])["new_card_pays"] == [360]


def test_a_file_does_not_differ_from_itself(tmp_path: Path) -> None:
    tariff = library("demo.taxi")
    file = rows_file(tmp_path, "date,gross_fare\n2026-03-02,1730\n2026-03-02,\n")
    difference = diff(tariff, tariff, read_rows(file, tariff))
    assert not difference.differ.any()
    assert difference.total.rows == 2
    assert difference.groups == ()


def test_files_of_two_kinds_are_not_compared(tmp_path: Path) -> None:
    bus = library("demo.bus")
    given = read_rows(rows_file(tmp_path, "date,card_class,transfer\n2026-03-02,adult,0\n"), bus)
    with pytest.raises(TariffKindError, match=r"demo\.water is a utility tariff"):
        diff(bus, library("demo.water"), given)


def test_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    water = library("demo.water")
    file = rows_file(
        tmp_path, "account,date,sequence,usage_milli,household\n1,2026-03-02,5,1000,1\n1,2026-04-02,5,1000,1\n"
    )
    with pytest.raises(TariffError, match="has the sequence 5 twice"):
        price_file(water, read_rows(file, water))


def test_charts_are_drawings() -> None:
    svg = moved_svg("money <moved>", [("adult", 100), ("student & co", -50), ("none", 0)], str)
    root = ET.fromstring(svg)
    bars = [element for element in root if element.tag.endswith("rect")]
    assert [int(bar.attrib["width"]) for bar in bars] == [180, 90, 0]
    assert moved_text(5, 10, half=4) == "    │██  "
    assert moved_text(-1, 1000, half=4) == "   █│    "
    assert moved_text(0, 10, half=4) == "    │    "


def test_the_schema_knows_every_step() -> None:
    schema = json_schema()
    for rule, (kind, registry) in zip(schema["allOf"], STEPS_OF_KIND.items(), strict=True):
        assert rule["if"] == {"properties": {"kind": {"const": kind}}}
        assert set(rule["then"]["properties"]["steps"]["items"]["properties"]) == set(registry)
    references = set()
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            references |= {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    assert {reference.removeprefix("#/$defs/") for reference in references} <= set(schema["$defs"])
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("column", "written", "value"),
    [
        ("entry_time", "1970-01-02T00:00:01", 86_401),
        ("entry_time", "1970-01-02 00:01", 86_460),
        ("settle_day", "1970-01-03", 2),
        ("card_class", "elderly", 2),
        ("gross_fare", "-5", -5),
    ],
)
def test_values_are_read_as_people_write_them(column: str, written: str, value: int) -> None:
    assert value_of(column, written) == value
    assert value_of(column, str(written_of(column, value))) == value
