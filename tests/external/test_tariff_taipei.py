"""Taipei metro band edges and all Taoyuan airport line pairs, against a rule file nobody here wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rule_files import write_table, write_tariff

import tariffs
from tariffs import TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"
PUBLISHED = ("2025-01-02", "2026-12-31")


@pytest.fixture
def rules(shared_data: Path) -> str:
    """The rule file as text."""
    return (shared_data / "tariffs/beijing-taipei-rules/taipei_fare_rules.json5").read_text(encoding="utf-8")


def test_band_edges(rules: str, answered: Callable[[int], None]) -> None:
    """The metro's and, derived from it, New Taipei's lines: both edges of each of ten bands."""
    bands = re.findall(r"\{fare: (\d+)(?:, start: (\d+))?(?:, end: (\d+))?\}", rules)
    assert len(bands) == 10
    distances, fares = [], []
    for fare, start, end in bands:
        distances += [int(start or 0), int(end or 99_999)]
        fares += [int(fare) * 100] * 2
    compiled = compile_tariff(load_tariff(LIBRARY / "taipei.metro.yaml"), date(2025, 6, 2))
    prices = price_transit(compiled, TransitJourneys.of(len(distances), distance_m=distances))
    np.testing.assert_array_equal(prices.card_pays, fares)
    assert prices.priced.all()
    answered(len(fares))


def test_airport_line_pairs(rules: str, tmp_path: Path, answered: Callable[[int], None]) -> None:
    """Every pair in both directions, for stations numbered in the order of their first appearance."""
    pairs = re.findall(r'\{fare: (\d+), start: "([^"]+)", end: "([^"]+)"\}', rules)
    names = list(dict.fromkeys(name for _, *pair in pairs for name in pair))
    assert (len(names), len(pairs)) == (22, 231)
    entry = [names.index(start) for _, start, _ in pairs]
    exit_ = [names.index(end) for _, _, end in pairs]
    fares = [int(fare) * 100 for fare, _, _ in pairs]
    tables = {"pairs": write_table(tmp_path, "pairs", {"entry": entry, "exit": exit_, "fare": fares})}
    steps = [{"lookup": {"table": "pairs", "directed": False, "columns": {"all": "fare"}, "when": {"lines": [9]}}}]
    file = write_tariff(tmp_path, "taoyuan.airport", "TWD", PUBLISHED, steps, tables)
    compiled = compile_tariff(load_tariff(file), date(2025, 6, 2))
    there = TransitJourneys.of(len(pairs), entry_station=entry, exit_station=exit_, line=9)
    back = TransitJourneys.of(len(pairs), entry_station=exit_, exit_station=entry, line=9)
    for journeys in (there, back):
        np.testing.assert_array_equal(price_transit(compiled, journeys).card_pays, fares)
    answered(2 * len(pairs))
