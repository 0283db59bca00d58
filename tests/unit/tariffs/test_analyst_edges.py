"""Edges: the thresholds of a file are found by pricing, and what is signed off can be pasted as tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tariffs
from tariffs import Tariff, load_tariff, run_inline_tests
from tariffs.analyst.edge_tests import inline_tests
from tariffs.analyst.edges import edge_columns, edges_of
from tariffs.analyst.runs import runs_of
from tariffs.written import written_of

CASES = Path(__file__).resolve().parents[2] / "cases" / "tariffs" / "priced"
LIBRARY = Path(tariffs.__file__).parent / "library"
RULE_FILES = sorted(LIBRARY.glob("*.yaml"))


def library(name: str) -> Tariff:
    return load_tariff(LIBRARY / f"{name}.yaml")


def test_edges_are_the_published_ones() -> None:
    edges = edges_of(library("beijing.subway"))
    distances = [edge.value for edge in edges if edge.column == "distance_m"]
    assert distances == [6_099, 12_099, 22_099, 32_099, 52_099]
    assert [point.amounts["gross"] for point in edges[0].points] == [300, 300, 400]
    assert [point.value for point in edges[0].points] == [6_098, 6_099, 6_100]
    days = [written_of("_day", edge.value) for edge in edges if edge.column == "date"]
    assert days == ["2014-12-27", "2026-12-31"]


def test_edges_find_what_no_number_of_the_file_says() -> None:
    """A cap is reached at a bill that stands nowhere: (cap / share) + deductible."""
    edges = [edge for edge in edges_of(library("demo.medical")) if edge.points[-1].rule == "annual_cap"]
    assert {(edge.column, edge.value) for edge in edges} >= {("category_a", 1_395_334)}


def test_edges_find_bends_inside_one_rule() -> None:
    edges = edges_of(library("shenzhen.bus"))
    assert {edge.value for edge in edges if edge.column == "gross_fare"} == {300, 600}


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_edges_can_be_pasted_as_inline_tests(tmp_path: Path, file: Path) -> None:
    tariff = load_tariff(file)
    edges = edges_of(tariff)
    for table in file.parent.glob("*.csv"):
        shutil.copy(table, tmp_path)
    pasted = tmp_path / file.name
    runs = runs_of(tariff)
    pasted.write_text(file.read_text("utf-8").rstrip() + "\n" + inline_tests(tariff, edges, runs), encoding="utf-8")
    again = load_tariff(pasted)
    assert len(again.tests) > len(tariff.tests)
    assert run_inline_tests(again) == []
    shown = sum(len(edge.points) for edge in edges) + sum(len(run.met) for run in runs)
    assert len(edge_columns(tariff, edges, runs)["value"]) == shown  # type: ignore[arg-type]


def test_a_cap_is_met_and_its_week_ends() -> None:
    """The new city: 20 yuan from Monday to Sunday, whatever the examples say."""
    [week] = runs_of(load_tariff(CASES / "linjiang.yaml"))
    assert [met.amounts["card_pays"] for met in week.met] == [375, 125, 0, 0, 300]
    assert [written_of("entry_time", met.row["entry_time"]) for met in week.met[-2:]] == [
        "2026-03-08T23:59:59",
        "2026-03-09T00:00:00",
    ]
    assert week.met[1].rule == "weekly cap (5): cap.week"


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("newyork.omny", {"cap (week)": [290, 210, 0, 0, 0, 290]}),
        (
            "demo.pass",
            {"pass (monthly)": [0, 0, 0, 200, 200, 200, 0], "pass (tourist)": [0, 0, 0, 200, 200, 200, 0]},
        ),
        ("demo.bus_transfer", {"cap (day)": [200, 0, 0, 0, 200]}),
    ],
)
def test_every_period_has_its_run(name: str, steps: dict[str, list[int]]) -> None:
    runs = {run.step: [met.amounts["card_pays"] for met in run.met] for run in runs_of(library(name))}
    assert runs == steps


def test_the_same_edge_is_listed_once() -> None:
    """245 before: every example brought the same bands and holidays again."""
    edges = edges_of(load_tariff(CASES / "linjiang.yaml"))
    assert len(edges) < 70
    peak = [edge for edge in edges if edge.column == "entry_time" and edge.points[-1].amounts["card_pays"] == 250]
    assert len(peak) == 1
    holidays = [written_of("_day", edge.value) for edge in edges if edge.column == "date"]
    assert len(holidays) == len(set(holidays))
    assert "2026-10-07" in holidays


def test_edges_of_a_window_lie_between_two_taps() -> None:
    """Two hours after the first tap a transfer is still free, a second later it is not."""
    edges = [edge for edge in edges_of(library("newyork.omny")) if edge.column == "entry_time"]
    rules = {
        (
            written_of("entry_time", edge.value),
            edge.points[1].amounts["card_pays"],
            edge.points[2].amounts["card_pays"],
        )
        for edge in edges
        if edge.scenario.event.get("line") == 2
    }
    assert ("2023-09-06T10:00:00", 0, 290) in rules
