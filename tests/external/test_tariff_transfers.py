"""Transfer windows of OpenTripPlanner's fare tests: every sequence given, by rule files alone.

Each case is one card's legs; its total (or each leg) must come out to the cent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tariffs import CardClass, TransitJourneys, load_tariff, price_journeys

pytestmark = pytest.mark.external

DAY = (date(2024, 3, 4) - date(1970, 1, 1)).days * 86_400
HEADER = """
kind: transit
source: OpenTripPlanner commit fa993dda, restated in ../shared/data/tariffs/otp-transfer-windows
money: {currency: USD, unit: fen}
policy: engine_priced
late: {grace_days: 0, after_grace: reprice}
published: {first: 2024-01-01, last: 2024-12-31}
"""
TESTS = """
tests:
  - {name: loads, date: 2024-03-04, rows: [{mode: 0}], expect: [{priced: true}]}
"""
WINDOW = (
    "inclusive: false, from_tap: first, measure: departure_to_departure, between: any, "
    "transfers_at_most: unlimited, pay: difference"
)
AGENCIES = {"kitsap": 1, "comm_trans": 2, "comm_trans_flex": 3, "ferry": 9}
RIDERS = {
    "regular": (CardClass.ADULT, "unit_fare_regular"),
    "senior": (CardClass.ELDERLY, "unit_fare_senior"),
    "special": (CardClass.DISABLED, "unit_fare_special"),
    "youth": (CardClass.STUDENT, "youth"),
}


def cents(amount: float) -> int:
    return round(amount * 100)


def read(shared_data: Path, name: str) -> dict[str, Any]:
    return json.loads((shared_data / "tariffs/otp-transfer-windows" / name).read_text())


def write_highest(folder: Path, rules: dict[str, Any]) -> Path:
    """Fares by line (A, B, C are lines 1, 2, 3); within the window the highest of them is paid once."""
    fares = "".join(
        f"  - flat: {{fare: {cents(fare)}, when: {{lines: [{line}]}}}}\n"
        for line, fare in enumerate(rules["fares"].values(), 1)
    )
    window = f"window_s: {rules['window_minutes'] * 60}, {WINDOW}, extend_on_step_up: false"
    file = folder / "highest.yaml"
    file.write_text(
        f"id: otp.highest\ntitle: highest fare in a free transfer window{HEADER}steps:\n{fares}"
        f"  - transfer_window: {{name: highest, from_legs: all, to_legs: all, classes: [adult], {window}}}\n"
        + TESTS.replace("mode: 0", "line: 1")
    )
    return file


def write_orca(folder: Path, rules: dict[str, Any]) -> Path:
    """Every leg costs the fare of its class; the cash ferry takes the regular fare and no part in the window."""
    fares = ""
    scheme = "operators: [1, 2, 3]"
    for card_class, key in RIDERS.values():
        condition = f"classes: [{card_class.name.lower()}], {scheme}"
        fares += f"  - flat: {{fare: {cents(rules[key])}, when: {{{condition}}}}}\n"
    fares += "  - flat: {fare: 0, when: {classes: [student], operators: [9]}}\n"
    fares += f"  - flat: {{fare: {cents(rules['unit_fare_regular'])}, when: {{operators: [9]}}}}\n"
    window = f"window_s: {rules['window_minutes'] * 60}, {WINDOW}, extend_on_step_up: true"
    legs = f"from_legs: {{{scheme}}}, to_legs: {{{scheme}}}"
    file = folder / "orca.yaml"
    file.write_text(
        f"id: otp.orca\ntitle: ORCA transfers{HEADER}steps:\n{fares}  - transfer_window: {{name: orca, {legs}, "
        f"classes: [adult, elderly, disabled, student], {window}}}\n" + TESTS.replace("mode: 0", "operator: 1")
    )
    return file


def price(file: Path, **columns: Any) -> np.ndarray:
    """What one card pays for each leg."""
    length = len(columns["entry_time"])
    journeys = TransitJourneys.of(length, card=1, sequence=np.arange(length), **columns)
    prices, _ = price_journeys(load_tariff(file), journeys)
    assert prices.priced.all()
    return prices.card_pays


def test_highest_fare_in_window(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    rules = read(shared_data, "highest_in_window_cases.json")
    file = write_highest(tmp_path, rules)
    lines = {name: number for number, name in enumerate(rules["fares"], 1)}
    wrong = 0
    for case in rules["cases"]:
        legs = case["legs"]
        paid = price(file, entry_time=[DAY + start for _, start in legs], line=[lines[name] for name, _ in legs])
        wrong += paid.sum() != cents(case["expected"])
    assert (len(rules["cases"]), wrong) == (4, 0)
    answered(len(rules["cases"]))


def test_orca(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    data = read(shared_data, "orca_cases.json")
    file = write_orca(tmp_path, data["rules"])
    right = wrong = 0
    for case in data["cases"]:
        times = [DAY + start * 60 for start in case["starts_min"]]
        operators = [AGENCIES[name] for name in case["agency"]]
        if "expected_by_leg_cents" in case:
            paid = price(file, entry_time=times, operator=operators)
            right += paid.tolist() == case["expected_by_leg_cents"]
            continue
        for rider, expected in case["expected"].items():
            card_class, _ = RIDERS[rider]
            paid = price(file, entry_time=times, operator=operators, card_class=card_class)
            right += int(paid.sum() == cents(expected))
            wrong += int(paid.sum() != cents(expected))
    assert (right, wrong) == (9, 0)
    answered(right)
