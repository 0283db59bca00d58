"""Journeys and step lists for the tests of stateless transit pricing, priced here and by the plain twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from reference import tariffs_reference as reference

from tariffs import NULL, CompiledTariff, TransitJourneys, TransitPrices, price_transit
from tariffs.columns import Columns
from tariffs.compiler import compile_steps
from tariffs.tables import Table
from tariffs.vocabulary import STEPS_OF_KIND

AMOUNTS = ("gross", "card_pays", "fund_pays", "fund", "operator_bears", "priced")
Steps = Sequence[Mapping[str, Any]]

CHINA = {
    2025: {"holidays": [date(2025, 10, 1), date(2025, 10, 2)], "workdays": [date(2025, 9, 28)]},
    2026: {"holidays": [date(2026, 1, 1), date(2026, 2, 17)], "workdays": [date(2026, 2, 28)]},
}
"""A few days of the official notices of two years."""

TABLES = {
    "pairs": Table(
        "pairs",
        {
            "entry": np.array([1, 1, 2, 3]),
            "exit": np.array([2, 3, 3, 3]),
            "fare": np.array([300, 500, 400, 0]),
            "reduced": np.array([100, 0, 200, 50]),
            "zone_low": np.array([1, 0, 1, 2]),
            "zone_high": np.array([1, 2, 2, 2]),
            "metres_a": np.array([1000, 2000, 0, 0]),
            "metres_b": np.array([0, 2000, 3000, 0]),
            "metres_c": np.array([7, 2000, 1, 0]),
        },
    ),
    "zones": Table("zones", {"station": np.array([3, 1, 2]), "zone": np.array([2, 0, 1])}),
    "zone_fares": Table(
        "zone_fares", {"entry": np.array([0, 0, 1]), "exit": np.array([0, 2, 2]), "fare": np.array([200, 600, 350])}
    ),
}


def moment(text: str) -> int:
    """Local seconds since 1970 of an ISO time."""
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds())


def compiled_steps(steps: Steps) -> tuple[CompiledTariff, list[tuple[str, Any]]]:
    """Steps written as in a file → compiled tariff and the validated steps the twin reads."""
    registry = STEPS_OF_KIND["transit"]
    validated = [(name, registry[name].model_validate(given)) for step in steps for name, given in step.items()]
    compiled = compile_steps(
        tariff_id="test.transit",
        kind="transit",
        segment=0,
        first_day=date(2025, 1, 1),
        last_day=date(2027, 12, 31),
        steps=validated,
        tables=TABLES,
    )
    return compiled, validated


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Columns as a list of plain rows."""
    return [{name: getattr(columns, name)[i].item() for name in columns.SPECS} for i in range(len(columns))]


def priced_as_twin(steps: Steps, journeys: TransitJourneys) -> TransitPrices:
    """Prices of ``journeys``, after comparing every amount with the twin's."""
    compiled, validated = compiled_steps(steps)
    prices = price_transit(compiled, journeys)
    for row, answer in zip(rows_of(journeys), rows_of(prices), strict=True):
        expected = reference.price_journey(validated, TABLES, row)
        assert {name: answer[name] for name in AMOUNTS} == expected, row
    return prices


def random_journeys(seed: int, length: int) -> TransitJourneys:
    """Journeys with known, unknown and missing values in every column, around the hours and days that matter."""
    rng = np.random.default_rng(seed)
    days = np.array(
        [
            "2025-09-27",
            "2025-09-28",
            "2025-10-01",
            "2025-12-31",
            "2026-01-01",
            "2026-02-28",
            "2026-03-02",
            "2027-01-04",
        ],
        "M8[s]",
    ).astype(np.int64)
    clocks = np.array([0, 1, 17_999, 18_000, 25_199, 25_200, 32_400, 43_200, 68_399, 68_400, 82_800, 86_399])
    entry_time = rng.choice(days, length) + rng.choice(clocks, length)
    duration = rng.choice([0, 1, 600, 901, 7_200, 40_000, 90_000], length)
    missing = rng.random((2, length)) < 0.1
    stations = np.array([1, 1, 2, 3, 3, 4, NULL])
    return TransitJourneys.of(
        length,
        mode=rng.integers(0, 4, length).astype(np.uint8),
        line=rng.choice([1, 2, 10**12, NULL], length),
        operator=rng.choice([1, 2, NULL], length),
        entry_station=rng.choice(stations, length),
        exit_station=rng.choice(stations, length),
        entry_time=np.where(missing[0], NULL, entry_time),
        exit_time=np.where(missing[1], NULL, entry_time + duration),
        distance_m=rng.choice([NULL, -1, 0, 1, 3_000, 3_001, 9_999, 1_000_000_001], length),
        duration_s=rng.choice([NULL, 0, 600, 14_400, 14_401], length),
        gross_fare=rng.choice([NULL, 0, 1, 199, 200, 555, 1_000], length),
        card_class=rng.choice(np.array([0, 0, 1, 2, 3, 8, 255], np.uint8), length),
        transfer=rng.integers(0, 2, length).astype(np.uint8),
        incomplete=rng.choice([0, 0, 0, 1], length).astype(np.uint8),
        age=rng.choice([NULL, 0, 5, 59, 60, 65, 120], length),
        concession_last_day=rng.choice([NULL, 0, *(days[3:6] // 86_400)], length),
    )
