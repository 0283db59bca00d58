"""All 82,944 published MTR fares of March 2025, priced by tariff files written here from the published CSV.

Goal: station pairs × nine card and ticket types come out to the cent. Method: adult, student, child and
single-journey fares by look-up; the flat concession of 2.00 by rule, with a table only for the pairs that
differ from it. JoyYou 60 and child have no class of their own in ``CardClass`` and ride as veteran and half.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tariffs import CardClass, TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

FLAT_CONCESSION = 200
OCTOPUS = {
    "OCT_ADT_FARE": CardClass.ADULT,
    "OCT_STD_FARE": CardClass.STUDENT,
    "OCT_CON_CHILD_FARE": CardClass.HALF,
    "OCT_JOYYOU_SIXTY_FARE": CardClass.VETERAN,
    "OCT_CON_ELDERLY_FARE": CardClass.ELDERLY,
    "OCT_CON_PWD_FARE": CardClass.DISABLED,
}
BY_RULE = {
    "veteran": "OCT_JOYYOU_SIXTY_FARE",
    "elderly": "OCT_CON_ELDERLY_FARE",
    "disabled": "OCT_CON_PWD_FARE",
}
SINGLE = {
    "SINGLE_ADT_FARE": CardClass.ADULT,
    "SINGLE_CON_CHILD_FARE": CardClass.HALF,
    "SINGLE_CON_ELDERLY_FARE": CardClass.ELDERLY,
}
HEADER = """
kind: transit
source: MTR Corporation via data.gov.hk, March 2025
money: {currency: HKD, unit: fen}
policy: terminal_priced
late: {grace_days: 0, after_grace: forward}
published: {first: 2025-03-27, last: 2026-03-31}
"""
TESTS = """
tests:
  - {name: Central to Admiralty, date: 2025-04-01, rows: [{entry_station: 1, exit_station: 2}],
     expect: [{priced: true}]}
"""
Fares = dict[str, np.ndarray]


@pytest.fixture
def published(shared_data: Path) -> Fares:
    """Columns of the published file: station ids as they stand, fares in cents."""
    with (shared_data / "tariffs/hk-mtr/mtr_lines_fares_2025-03.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    fares = {name: np.array([int(Decimal(row[name]) * 100) for row in rows]) for name in OCTOPUS | SINGLE}
    for side, name in (("entry", "SRC_STATION_ID"), ("exit", "DEST_STATION_ID")):
        fares[side] = np.array([int(row[name]) for row in rows])
    return fares


def write_table(folder: Path, name: str, columns: Fares) -> str:
    """Write a CSV and return its entry under ``tables``."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    content = "\n".join(lines) + "\n"
    (folder / f"{name}.csv").write_text(content)
    return f"  {name}: {{file: {name}.csv, sha256: {hashlib.sha256(content.encode()).hexdigest()}}}\n"


def write_octopus(folder: Path, fares: Fares) -> Path:
    """Adult look-up; children and students by table; flat 2.00 by rule except on the listed pairs."""
    pairs = {"entry": fares["entry"], "exit": fares["exit"]}
    reduced = {"student": fares["OCT_STD_FARE"], "child": fares["OCT_CON_CHILD_FARE"]}
    tables = write_table(folder, "adult", pairs | {"fare": fares["OCT_ADT_FARE"]})
    tables += write_table(folder, "reduced", pairs | reduced)
    exceptions = ""
    for class_name, column in BY_RULE.items():
        listed = fares[column] != FLAT_CONCESSION
        content = {name: values[listed] for name, values in (pairs | {"fare": fares[column]}).items()}
        tables += write_table(folder, f"except_{class_name}", content)
        terms = f"table: except_{class_name}, directed: true, columns: {{{class_name}: fare}}"
        exceptions += f"  - concession_lookup: {{{terms}}}\n"
    flat = ", ".join(f"{name}: {{fare: {FLAT_CONCESSION}, final: true}}" for name in BY_RULE)
    file = folder / "octopus.yaml"
    file.write_text(
        f"id: mtr.octopus\ntitle: MTR Octopus fares{HEADER}tables:\n{tables}steps:\n"
        "  - lookup: {table: adult, directed: true, columns: {all: fare}}\n"
        "  - concession_lookup: {table: reduced, directed: true, columns: {student: student, half: child}}\n"
        f"{exceptions}"
        f"  - concession: {{classes: {{{flat}}}, others: full_fare, rounding: down}}\n{TESTS}"
    )
    return file


def write_single(folder: Path, fares: Fares) -> Path:
    """Single-journey tickets, each type by look-up."""
    names = {"adult": "SINGLE_ADT_FARE", "half": "SINGLE_CON_CHILD_FARE", "elderly": "SINGLE_CON_ELDERLY_FARE"}
    columns = {"entry": fares["entry"], "exit": fares["exit"]} | {name: fares[c] for name, c in names.items()}
    table = write_table(folder, "single", columns)
    file = folder / "single.yaml"
    file.write_text(
        f"id: mtr.single\ntitle: MTR single tickets{HEADER}tables:\n{table}steps:\n"
        "  - lookup: {table: single, directed: true, columns: {adult: adult, half: half, elderly: elderly}}\n"
        f"{TESTS}"
    )
    return file


def compare(file: Path, fares: Fares, columns: dict[str, CardClass]) -> tuple[int, int, int]:
    """Answers that match by rule, match by look-up, and differ, over all pairs and the given columns."""
    compiled = compile_tariff(load_tariff(file), date(2025, 4, 1))
    by_rule = by_lookup = wrong = 0
    for column, card_class in columns.items():
        journeys = TransitJourneys.of(
            len(fares["entry"]),
            entry_station=fares["entry"],
            exit_station=fares["exit"],
            card_class=card_class,
        )
        prices = price_transit(compiled, journeys)
        right = prices.priced & (prices.card_pays == fares[column])
        ruled = np.array([name.startswith("concession.") for name in compiled.rule_names])[prices.rule]
        by_rule += int((right & ruled).sum())
        by_lookup += int((right & ~ruled).sum())
        wrong += int((~right).sum())
    return by_rule, by_lookup, wrong


def test_all_published_fares(tmp_path: Path, published: Fares, answered: Callable[[int], None]) -> None:
    octopus = compare(write_octopus(tmp_path, published), published, OCTOPUS)
    single = compare(write_single(tmp_path, published), published, SINGLE)
    by_rule, by_lookup, wrong = (a + b for a, b in zip(octopus, single, strict=True))
    assert (by_rule, by_lookup, wrong) == (25_956, 56_988, 0)
    answered(by_rule + by_lookup)


def test_a_shuffled_column_fails(tmp_path: Path, published: Fares) -> None:
    """The comparison has teeth: the same file with one column shuffled gives other fares."""
    shuffled = np.random.default_rng(1).permutation(published["SINGLE_ADT_FARE"])
    mutant = write_single(tmp_path, published | {"SINGLE_ADT_FARE": shuffled})
    _, _, wrong = compare(mutant, published, SINGLE)
    assert wrong > 8_000
