"""What a step reads must be there: a new city's journeys as an analyst prices them, whole and with gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import Tariff, TariffFileError, load_tariff
from tariffs.analyst.check import check_file, run_file_tests
from tariffs.analyst.explain import explain, read_event
from tariffs.analyst.messages import Messages
from tariffs.analyst.price import BEHIND, LACKING, PricedFile, price_file
from tariffs.analyst.row_files import read_rows, read_table
from tariffs.errors import ParameterError
from tariffs.needs import reads_of
from tariffs.vocabulary import STEPS_OF_KIND
from tariffs.written import value_of

LIBRARY = Path(tariffs.__file__).parent / "library"
CASES = Path(__file__).resolve().parents[2] / "cases" / "tariffs" / "priced"
OWN = ["number", "expected_card_pays", "expected_fund_pays"]
TRANSFER = "transfer_window (transfer (4))"


@pytest.fixture(scope="module")
def city() -> Tariff:
    return load_tariff(CASES / "linjiang.yaml")


def journeys(folder: Path, **changed: dict[int, str] | None) -> Path:
    """The twenty journeys with cells (by number of the journey) changed, or whole columns left out."""
    header, *rows = [line.split(",") for line in (CASES / "linjiang.csv").read_text("utf-8").splitlines()]
    for name, cells in changed.items():
        for number, text in (cells or {}).items():
            rows[number - 1][header.index(name)] = text
    kept = [at for at, name in enumerate(header) if changed.get(name, {}) is not None]
    file = folder / "journeys.csv"
    file.write_text("".join(",".join(row[at] for at in kept) + "\n" for row in [header, *rows]), encoding="utf-8")
    return file


def priced(city: Tariff, file: Path) -> PricedFile:
    return price_file(city, read_rows(file, city, keep=OWN))


def test_the_new_city_s_journeys_cost_what_its_notice_says(city: Tariff) -> None:
    file = CASES / "linjiang.csv"
    result, table = priced(city, file), read_table(file)
    assert result.priced.priced.all()
    for name in ("card_pays", "fund_pays"):
        expected = [int(cell) for cell in table[f"expected_{name}"].to_pylist()]
        assert result.priced.amounts[name].tolist() == expected
    assert len(table) == 20


@pytest.mark.parametrize(
    ("column", "step"),
    [
        ("card", TRANSFER),
        ("exit_time", TRANSFER),
        ("mode", "bands (metro by distance (1))"),
        ("distance_m", "bands (metro by distance (1))"),
        ("entry_time", "surcharge (morning peak (3))"),
        ("card_class", "concession (elderly free from nine (6))"),
    ],
)
def test_a_column_left_out_is_named_with_its_step(city: Tariff, tmp_path: Path, column: str, step: str) -> None:
    with pytest.raises(TariffFileError) as refusal:
        read_rows(journeys(tmp_path, **{column: None}), city, keep=OWN)
    assert (refusal.value.path, refusal.value.value) == ("header", column)
    assert refusal.value.remedy == f"the step {step} reads it: give this column"
    assert Messages("zh").error(refusal.value)["remedy"] == f"步骤 {step} 要用:请给出这一列"


@pytest.mark.parametrize(
    ("column", "number", "behind"),
    [
        ("exit_time", 7, [8, 9, 10]),
        ("distance_m", 10, []),
        ("card_class", 20, [11, 12, 13]),
        ("mode", 10, []),
        ("entry_time", 17, [18, 19]),
        ("card", 3, []),
    ],
)
def test_a_value_left_out_leaves_its_row_and_those_behind_it_unpriced(
    city: Tariff, tmp_path: Path, column: str, number: int, behind: list[int]
) -> None:
    result = priced(city, journeys(tmp_path, **{column: {number: ""}}))
    assert [(lack.column, (lack.rows + 1).tolist()) for lack in result.lacks] == [(column, [number])]
    assert result.reason[number - 1] == LACKING
    assert (np.flatnonzero(result.reason == BEHIND) + 1).tolist() == behind
    assert np.flatnonzero(~result.priced.priced).tolist() == sorted(at - 1 for at in [number, *behind])


def test_a_bus_has_no_distance_and_an_incomplete_journey_no_exit(city: Tariff, tmp_path: Path) -> None:
    table = read_table(journeys(tmp_path))
    assert None in table["distance_m"].to_pylist()
    file = tmp_path / "incomplete.csv"
    file.write_text(
        "date,entry_station,exit_station,card_class,incomplete\n2026-03-02,101,103,adult,0\n"
        "2026-03-02,101,,adult,1\n2026-03-02,101,,adult,0\n",
        encoding="utf-8",
    )
    metro = load_tariff(LIBRARY / "demo.metro.yaml")
    result = price_file(metro, read_rows(file, metro))
    assert result.priced.priced.tolist() == [True, True, False]
    assert [(lack.column, lack.rows.tolist()) for lack in result.lacks] == [("exit_station", [2])]


def test_the_first_step_that_covers_a_row_spares_it_the_next(tmp_path: Path) -> None:
    """Bands by distance are for what the table of pairs does not price; a row without stations is not decided."""
    text = (CASES / "by_class.yaml").read_text("utf-8")
    assert "- flat: {fare: 250, classes: [student]}" in text
    both = load_tariff(CASES / "by_class.yaml")
    file = tmp_path / "rows.csv"
    file.write_text(
        "date,entry_station,exit_station,card_class,gross_fare,duration_s,incomplete\n"
        "2026-05-01,1,2,adult,,,0\n2026-05-01,,,student,,,0\n2026-05-01,,,veteran,300,,0\n2026-05-01,,,veteran,,,0\n"
        "2026-05-01,,,adult,,,0\n",
        encoding="utf-8",
    )
    result = price_file(both, read_rows(file, both))
    assert result.priced.priced.tolist() == [True, True, True, False, False]
    assert [(lack.column, lack.rows.tolist()) for lack in result.lacks] == [
        ("entry_station", [4]),
        ("gross_fare", [3]),
    ]


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("demo.water", "account,date,usage_milli\n1,2026-03-02,1000\n", "header", "household"),
        ("demo.water", "account,date,usage_milli,household\n1,2026-03-02,1000,\n", "row 1, household", None),
        (
            "demo.medical",
            "person,date,insured,level,category_a,category_b,over_limit\n1,2026-03-02,310,1,100,0,0\n",
            "header",
            "category_c",
        ),
        (
            "demo.electricity_tou",
            "account,date,usage_milli,household,register,days,days_overdue\n1,2026-03-02,1000,4,,31,0\n",
            "row 1, register",
            None,
        ),
    ],
)
def test_bills_lack_nothing_either(tmp_path: Path, name: str, text: str, path: str, value: str | None) -> None:
    """What one row of an account lacks would be wrong in its next: the file is refused."""
    file = tmp_path / "rows.csv"
    file.write_text(text, encoding="utf-8")
    tariff = load_tariff(LIBRARY / f"{name}.yaml")
    with pytest.raises((TariffFileError, ParameterError)) as refusal:
        price_file(tariff, read_rows(file, tariff))
    assert (refusal.value.path, refusal.value.value) == (path, value)
    assert "the step " in refusal.value.remedy


def test_days_overdue_stand_once_in_a_bill(tmp_path: Path) -> None:
    tariff = load_tariff(LIBRARY / "demo.electricity_tou.yaml")
    rows = "account,date,usage_milli,household,bill,register,days,days_overdue\n1,2026-03-02,1000,4,7,1,31,0\n"
    file = tmp_path / "rows.csv"
    file.write_text(rows + "1,2026-03-02,1000,4,7,2,,\n", encoding="utf-8")
    assert price_file(tariff, read_rows(file, tariff)).lacks == ()
    file.write_text(rows + "1,2026-03-02,1000,4,8,2,,0\n", encoding="utf-8")
    with pytest.raises(ParameterError) as refusal:
        price_file(tariff, read_rows(file, tariff))
    assert refusal.value.path == "row 2, days"


def test_an_explanation_says_what_it_takes_for_granted(city: Tariff) -> None:
    event = read_event("transit", ["mode=2", "entry_time=2026-03-02T10:00:00", "exit_time=2026-03-02T10:00:00"])
    explained = explain(city, event)
    assert explained.assumed == {"card_class": 0}
    del event["exit_time"]
    with pytest.raises(ParameterError, match="reads it") as refusal:
        explain(city, event)
    assert refusal.value.path == "--event exit_time"


def test_owners_may_be_any_text(city: Tariff, tmp_path: Path) -> None:
    named = {"A": "310500-0001", "B": "0007", "C": "7"}
    cells = {number: named[row] for number, row in enumerate("AAAAAABBBBCCCAAAAAAC", start=1)}
    result = priced(city, journeys(tmp_path, card=cells))
    whole = priced(city, CASES / "linjiang.csv")
    np.testing.assert_array_equal(result.priced.amounts["card_pays"], whole.priced.amounts["card_pays"])
    assert value_of("card", "7") == 7
    assert value_of("card", "0007") not in (7, value_of("card", "007"))
    assert 0 <= value_of("person", "99999999999999999999999") < 2**63


@pytest.mark.parametrize(
    ("replace", "by", "path", "remedy"),
    [
        ("distance_m: 6000}", "distance_m: x}", "tests[0].rows[0].distance_m", "write an integer"),
        ("distance_m: 6000}", "distance: 6000}", "tests[0].rows[0].distance", "no such column"),
        ("distance_m: 6000}", "distance_m: null}", "tests[0].rows[0].distance_m", "the step bands (metro by"),
        ("distance_m: 6000}", "distance_m: [1]}", "tests[0].rows[0].distance_m", "Input should be"),
        (
            "exit_time: 2026-03-03T07:20:00, distance_m: 6000",
            "distance_m: 6000",
            "tests[0].rows[0].exit_time",
            TRANSFER,
        ),
        ("{gross: 200, card_pays: 200}", "{gros: 200}", "tests[0].expect[0].gros", "no such answer"),
        (
            "{card: 1, mode: 1, entry_time: 2026-03-03T06",
            "{mode: 1, entry_time: 2026-03-03T06",
            "tests[0].rows[0].card",
            "or in none",
        ),
        ("    date: 2026-03-03\n", "    date: 2027-03-03\n", "linjiang.city", "no price published"),
    ],
)
def test_check_reads_the_examples(tmp_path: Path, replace: str, by: str, path: str, remedy: str) -> None:
    """What `test` would refuse, `check` refuses too, in words of the file and not of the program."""
    text = (CASES / "linjiang.yaml").read_text("utf-8")
    assert replace in text
    file = tmp_path / "city.yaml"
    file.write_text(text.replace(replace, by, 1), encoding="utf-8")
    checked, tested = check_file(file), run_file_tests(file)
    assert checked.error is not None
    assert tested.error is not None
    told = Messages("en").error(checked.error)
    assert told == Messages("en").error(tested.error)
    assert told["path"] == path
    assert remedy in str(checked.error)
    assert not {"None", "int", "str"} & set(" ".join([told["path"], told["value"]]).replace(".", " ").split())


@pytest.mark.parametrize(
    ("name", "replace", "by", "path"),
    [
        ("demo.medical", "level: 1, ", "", "tests[0].rows[2].level"),
        ("demo.electricity_tou", "register: 1, ", "", "tests[0].rows[0].register"),
    ],
)
def test_check_reads_the_examples_of_bills(tmp_path: Path, name: str, replace: str, by: str, path: str) -> None:
    text = (LIBRARY / f"{name}.yaml").read_text("utf-8")
    head, tests = text.split("tests:\n")
    assert replace in tests
    file = tmp_path / "bills.yaml"
    file.write_text(f"{head}tests:\n{tests.replace(replace, by, 1)}", encoding="utf-8")
    error = check_file(file).error
    assert isinstance(error, TariffFileError)
    assert (error.path, error.value) == (path, None)


def test_a_row_of_another_mode_says_null_or_nothing(tmp_path: Path) -> None:
    text = (CASES / "linjiang.yaml").read_text("utf-8")
    for by in ("", ", distance_m: null"):
        file = tmp_path / "city.yaml"
        file.write_text(text.replace(", distance_m: 0}", f"{by}}}"), encoding="utf-8")
        assert check_file(file).error is None
        assert run_file_tests(file).failures == ()


def test_check_says_who_gets_nothing(tmp_path: Path) -> None:
    text = (CASES / "linjiang.yaml").read_text("utf-8")
    every = "[adult, student, elderly, disabled, veteran, staff, half, free, none]"
    assert every in text
    file = tmp_path / "city.yaml"
    for by, left_out in (("all", ()), (every, ()), ("[adult, elderly]", ("student", "disabled"))):
        file.write_text(text.replace(every, by), encoding="utf-8")
        notes = check_file(file).left_out
        assert [note.classes[: len(left_out)] for note in notes] == ([left_out] if left_out else [])
        assert run_file_tests(file).failures == ()


def test_every_step_type_is_thought_of() -> None:
    """A new step must say what it reads, or that it reads nothing of a row."""
    nothing = {"discount", "factor", "minus", "round", "apportion", "reading"}
    read = set()
    for file in sorted([*LIBRARY.glob("*.yaml"), *CASES.glob("*.yaml")]):
        for segment in load_tariff(file).segments:
            read |= {key for key, step in segment.steps if list(reads_of(step))}
    always = {"flat", "fixed", "minimum", "prepay", "tiers", "annual_cap", "surcharge"}
    in_no_file = {"extension", "cheapest", "rebate", "timed_blocks", "zones"}
    assert read | nothing | always | in_no_file == {key for registry in STEPS_OF_KIND.values() for key in registry}
