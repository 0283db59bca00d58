"""Which journeys a step is for: time frames, calendars and the other parts of a ``when``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_cases import CHINA, Steps, compiled_steps, moment, priced_as_twin, random_journeys

from tariffs import NULL, CardClass, TariffFileError, TransitJourneys, compile_segment, load_tariff, price_transit
from tariffs.errors import ParameterError

PEAK = {
    "at": "entry",
    "calendar": CHINA,
    "windows": [{"days": ["workday"], "from": "07:00", "before": "09:00"}],
}


def under(when: dict[str, Any]) -> Steps:
    """Half price where the condition holds."""
    return [{"flat": {"fare": 400}}, {"factor": {"per_10000": 5000, "rounding": "half_up", "when": when}}]


def paid(when: dict[str, Any], **columns: Any) -> list[int]:
    """What the card pays; −1 for rows without a price."""
    journeys = TransitJourneys.of(len(next(iter(columns.values()))), **columns)
    prices = priced_as_twin(under(when), journeys)
    return np.where(prices.priced, prices.card_pays, -1).tolist()


def test_a_window_takes_its_first_second_and_not_its_last() -> None:
    times = [moment(f"2026-03-02T{clock}") for clock in ("06:59:59", "07:00:00", "08:59:59", "09:00:00")]
    assert paid({"timeframe": PEAK}, entry_time=times) == [400, 200, 200, 400]


def test_days_are_what_the_calendar_says() -> None:
    days = ["2026-02-17", "2026-02-28", "2026-03-01", "2026-03-02", "2025-09-28", "2025-10-01", "2025-10-03"]
    times = [moment(f"{day}T08:00") for day in days]
    # A holiday on a Tuesday, a Saturday worked for it, a Sunday, a Monday; then the same of 2025 and a Friday.
    assert paid({"timeframe": PEAK}, entry_time=times) == [400, 200, 400, 200, 200, 400, 200]


def test_a_year_without_calendar_has_no_price_where_it_matters() -> None:
    inside, outside = moment("2027-01-04T08:00"), moment("2027-01-04T12:00")
    assert paid({"timeframe": PEAK}, entry_time=[inside, outside]) == [-1, 400]
    adults = {"timeframe": PEAK, "classes": ["adult"]}
    assert paid(adults, entry_time=[inside] * 2, card_class=[CardClass.ADULT, CardClass.HALF]) == [-1, 400]


def test_weekdays_need_no_calendar() -> None:
    frame = {"at": "exit", "windows": [{"days": ["sat", "sun"], "from": "00:00", "before": "24:00"}]}
    times = [moment("2031-03-01T00:00"), moment("2031-03-02T23:59:59"), moment("2031-03-03T00:00")]
    assert paid({"timeframe": frame}, exit_time=times) == [200, 200, 400]


def test_a_night_belongs_to_the_day_it_began() -> None:
    frame = {"at": "entry", "windows": [{"days": ["fri"], "from": "23:00", "before": "05:00"}]}
    clocks = ["2026-03-06T22:59:59", "2026-03-06T23:00", "2026-03-07T04:59:59", "2026-03-07T05:00"]
    times = [moment(clock) for clock in (*clocks, "2026-03-06T04:00", "2026-03-07T23:00")]
    assert paid({"timeframe": frame}, entry_time=times) == [400, 200, 200, 400, 400, 400]


def test_what_is_missing_satisfies_no_condition() -> None:
    count = {"gross_fare": [0]}
    for when in (
        {"timeframe": {"at": "entry", "windows": [{"from": "00:00", "before": "24:00"}]}},
        {"age": {"at_most": 200}},
        {"distance_m": {"at_most": 1_000_000}},
        {"lines": [1]},
        {"same_station": True},
        {"same_station": False},
    ):
        assert paid(when, **count) == [400], when


def test_elderly_ride_free_after_nine() -> None:
    frame = {"at": "entry", "windows": [{"from": "09:00", "before": "24:00"}]}
    free = {"classes": {"elderly": {"per_10000": 0, "final": True}}, "others": "full_fare", "rounding": "down"}
    steps = [{"flat": {"fare": 400}}, {"concession": free | {"when": {"timeframe": frame}}}]
    times = [moment("2026-03-02T08:59:59"), moment("2026-03-02T09:00"), moment("2026-03-02T09:00")]
    journeys = TransitJourneys.of(3, entry_time=times, card_class=[2, 2, 0])
    assert priced_as_twin(steps, journeys).card_pays.tolist() == [400, 0, 400]


def test_a_concession_ends_with_its_last_day() -> None:
    last = (date(2026, 3, 2) - date(1970, 1, 1)).days
    times = [moment("2026-03-02T23:59:59"), moment("2026-03-03T00:00"), moment("2026-03-03T00:00"), NULL, NULL]
    columns = {"entry_time": times, "concession_last_day": [last, last, NULL, last, NULL]}
    assert paid({"concession_valid": True}, **columns) == [200, 400, 200, 400, 200]
    assert paid({"concession_valid": False}, **columns) == [400, 200, 400, 400, 400]


def test_classes_not_covered_are_so_only_under_the_condition() -> None:
    terms = {"classes": {"adult": {"per_10000": 9000, "final": False}}, "others": "not_covered", "rounding": "down"}
    steps = [{"flat": {"fare": 400}}, {"concession": terms | {"when": {"modes": [7]}}}]
    journeys = TransitJourneys.of(4, mode=[7, 7, 8, 8], card_class=[0, 1, 0, 1])
    prices = priced_as_twin(steps, journeys)
    assert prices.priced.tolist() == [True, False, True, True]
    assert prices.card_pays.tolist() == [360, 0, 400, 400]


def test_a_label_stands_in_front_of_the_rule() -> None:
    compiled, _ = compiled_steps([{"flat": {"fare": 400, "label": "all day"}}, {"round": {"to": 1, "mode": "up"}}])
    assert compiled.rule_names == ("not covered", "all day: flat")


CLOCKS = st.sampled_from(["00:00", "05:00", "07:00", "09:00", "12:00", "19:00", "23:00", "05:00:01"])
DAY_NAMES = st.sampled_from(["workday", "weekend", "holiday", "mon", "wed", "thu", "sat", "sun"])


@st.composite
def timeframes(draw: st.DrawFn) -> dict[str, Any]:
    """One to three windows; a calendar exactly when one of them asks for it."""
    windows = []
    for _ in range(draw(st.integers(1, 3))):
        window: dict[str, Any] = {"from": draw(CLOCKS), "before": draw(CLOCKS | st.just("24:00"))}
        if draw(st.booleans()):
            window["days"] = draw(st.lists(DAY_NAMES, min_size=1, max_size=3, unique=True))
        windows.append(window)
    asked = {day for window in windows for day in window.get("days", ())}
    frame: dict[str, Any] = {"at": draw(st.sampled_from(["entry", "exit"])), "windows": windows}
    if asked & {"workday", "weekend", "holiday"}:
        frame["calendar"] = CHINA
    return frame


@st.composite
def whens(draw: st.DrawFn) -> dict[str, Any]:
    """One to three parts of a condition."""
    span = st.sampled_from([{"at_least": 60}, {"at_most": 60}, {"at_least": 1, "at_most": 3_000}])
    numbers = st.lists(st.sampled_from([1, 2, 3, 10**12]), min_size=1, max_size=2, unique=True)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "classes": st.just(["adult", "elderly"]),
        "modes": st.just([0, 2]),
        "lines": numbers,
        "operators": numbers,
        "entry_stations": numbers,
        "exit_stations": numbers,
        "same_station": st.booleans(),
        "concession_valid": st.booleans(),
        "age": span,
        "distance_m": span,
        "duration_s": span,
        "transfer": st.booleans(),
        "incomplete": st.booleans(),
        "timeframe": timeframes(),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), min_size=1, max_size=3, unique=True))
    return {name: draw(parts[name]) for name in chosen}


@settings(deadline=None)
@given(st.lists(whens(), min_size=8, max_size=8), st.booleans(), st.integers(0, 2**32))
def test_any_conditions_equal_their_twin(conditions: list[dict[str, Any]], discounts: bool, seed: int) -> None:
    terms = {"elderly": {"per_10000": 2_000, "at_least": 70, "final": True}}
    given_steps: list[tuple[str, dict[str, Any]]] = [
        ("flat", {"fare": 250}),
        ("gross", {"source": "terminal"}),
        ("max_fare", {"fare": 900, "discounts": discounts}),
        ("surcharge", {"per_10000": 3_333, "rounding": "half_even"}),
        ("concession", {"classes": terms, "others": "full_fare", "rounding": "half_up"}),
        ("minus", {"amount": 60, "floor": 20}),
        ("round", {"to": 50, "mode": "up"}),
        ("split", {"funds": {"elderly": {"fund": 3, "per_10000": 6_667}}, "remainder": "operator"}),
    ]
    steps: list[dict[str, Any]] = []
    for (name, terms_of_step), when in zip(given_steps, conditions, strict=True):
        more = {"rounding": "largest_remainder"} if name == "split" else {}
        steps.append({name: terms_of_step | more | {"when": when}})
    prices = priced_as_twin(steps, random_journeys(seed, 60))
    payers = prices.card_pays + prices.fund_pays + prices.operator_bears
    np.testing.assert_array_equal(payers, prices.gross)
    assert (prices.card_pays >= 0).all()


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({}, "steps[1].factor.when"),
        ({"age": {}}, "steps[1].factor.when.age"),
        ({"age": {"at_least": 70, "at_most": 60}}, "steps[1].factor.when.age"),
        ({"timeframe": PEAK | {"calendar": None}}, "steps[1].factor.when.timeframe.calendar"),
        (
            {"timeframe": PEAK | {"windows": [{"from": "07:00", "before": "09:00"}]}},
            "steps[1].factor.when.timeframe.calendar",
        ),
        (
            {"timeframe": PEAK | {"calendar": {2026: {"holidays": [date(2025, 1, 1)], "workdays": []}}}},
            "steps[1].factor.when.timeframe.calendar[2026].holidays",
        ),
        (
            {"timeframe": PEAK | {"calendar": {2026: {"holidays": [], "workdays": [date(2026, 3, 2)]}}}},
            "steps[1].factor.when.timeframe.calendar[2026].workdays",
        ),
        (
            {
                "timeframe": PEAK
                | {"calendar": {2026: {"holidays": [date(2026, 3, 1)], "workdays": [date(2026, 3, 1)]}}}
            },
            "steps[1].factor.when.timeframe.calendar[2026].workdays",
        ),
    ],
)
def test_contradictions_are_refused(when: dict[str, Any], path: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        compiled_steps(under(when))
    assert refusal.value.path == path


FILE = """
id: case.when
kind: transit
title: Time frames as dated values that use a calendar
source: made up
money: {currency: CNY, unit: fen}
policy: terminal_priced
late: {grace_days: 0, after_grace: forward}
published: {first: 2026-01-01, last: 2026-12-31}
values:
  days:
    2026-01-01: {2026: {holidays: [2026-02-17], workdays: [2026-02-28]}}
  peak:
    2026-01-01: {at: entry, calendar: {use: days}, windows: [{days: [workday], from: "07:00", before: "09:00"}]}
    2026-07-01: {at: entry, calendar: {use: days}, windows: [{days: [workday], from: "06:30", before: "09:00"}]}
steps:
  - flat: {fare: 400}
  - factor: {per_10000: 5000, rounding: down, when: {timeframe: {use: peak}}}
tests:
  - name: one
    date: 2026-03-02
    rows: [{transfer: 0}]
    expect: [{card_pays: 400}]
"""


def test_time_frames_are_dated_values(tmp_path: Path) -> None:
    file = tmp_path / "when.yaml"
    file.write_text(FILE, encoding="utf-8")
    tariff = load_tariff(file)
    assert [segment.first for segment in tariff.segments] == [date(2026, 1, 1), date(2026, 7, 1)]
    journey = TransitJourneys.of(1, entry_time=moment("2026-08-03T06:45"))
    assert [int(price_transit(compile_segment(tariff, index), journey).card_pays[0]) for index in (0, 1)] == [
        400,
        200,
    ]


@pytest.mark.parametrize(
    ("replace", "by", "path"),
    [
        ("calendar: {use: days}, windows: [{days: [workday], from: \"07:00\"", "calendar: {use: day}, windows: "
         "[{days: [workday], from: \"07:00\"", "values.peak.calendar"),
        ("2026-01-01: {2026:", "2026-01-01: {use: days}\n    2026-01-02: {2026:", "values.days"),
        ('from: "06:30"', 'from: "6:30"', "steps[1].factor.when.timeframe.windows[0].from"),
        ("at: entry, calendar: {use: days}, windows: [{days: [workday], from: \"07:00\"",
         "at: both, calendar: {use: days}, windows: [{days: [workday], from: \"07:00\"",
         "steps[1].factor.when.timeframe.at"),
        ("timeframe: {use: peak}", "timeframe: {use: peak}, colour: red", "steps[1].factor.when.colour"),
    ],
)  # fmt: skip
def test_faults_in_a_file_are_named(tmp_path: Path, replace: str, by: str, path: str) -> None:
    file = tmp_path / "when.yaml"
    assert FILE.count(replace) == 1
    file.write_text(FILE.replace(replace, by), encoding="utf-8")
    with pytest.raises(TariffFileError) as refusal:
        load_tariff(file)
    assert refusal.value.path == path
