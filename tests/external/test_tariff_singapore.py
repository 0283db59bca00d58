"""Singapore MRT fares of 23 December 2023: 5 card types × 2 times × 39 distances, 390 answers.

The rule file is the library's ``singapore.mrt``; the expected fares are those of the published table. Workfare
cards have no class of their own in ``CardClass`` and ride as half.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import CardClass, TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"
CLASS_OF = {
    "Adult card fare": CardClass.ADULT,
    "Senior citizen card fare": CardClass.ELDERLY,
    "Student card fare": CardClass.STUDENT,
    "Workfare transport concession card fare": CardClass.HALF,
    "Persons with diabilities card fare": CardClass.DISABLED,
}
# Tuesday 2 January 2024 is a workday, Monday 1 January a public holiday.
EARLY = [datetime(2024, 1, 2, 7, 44, 59)]
OTHER = [
    datetime(2024, 1, 2, 7, 45),
    datetime(2024, 1, 2, 23, 59, 59),
    datetime(2024, 1, 1, 7),
    datetime(2024, 1, 6, 7),
]
EPOCH = datetime(1970, 1, 1)
BEYOND_KM = 55


def band_metres(text: str) -> tuple[int, int]:
    """Shortest and longest distance of a band as published, in metres."""
    numbers = [round(float(number) * 1000) for number in re.findall(r"\d+\.\d", text)]
    if text.startswith("Up to"):
        return 0, numbers[0]
    if text.startswith("Over"):
        return numbers[0] + 1, BEYOND_KM * 1000
    return numbers[0], numbers[1]


def test_all_published_fares(shared_data: Path, answered: Callable[[int], None]) -> None:
    table = shared_data / "tariffs/sg-mrt/FaresforMRTandLRTEffectivefrom23December2023.csv"
    with table.open(encoding="utf-8-sig") as file:
        published = list(csv.DictReader(file))
    compiled = compile_tariff(load_tariff(LIBRARY / "singapore.mrt.yaml"), date(2024, 1, 2))
    journeys: list[tuple[int, int, int]] = []
    expected: list[int] = []
    for row in published:
        times = EARLY if row["applicable_time"].startswith("Before") else OTHER
        for distance in band_metres(row["distance"]):
            for time in times:
                seconds = int((time - EPOCH).total_seconds())
                journeys.append((CLASS_OF[row["fare_type"]], distance, seconds))
                expected.append(int(row["fare_per_ride"]))
    card_class, distance_m, entry_time = np.array(journeys).T
    prices = price_transit(
        compiled,
        TransitJourneys.of(
            len(journeys), card_class=card_class.astype(np.uint8), distance_m=distance_m, entry_time=entry_time
        ),
    )
    assert len(published) == 390
    assert prices.priced.all()
    np.testing.assert_array_equal(prices.card_pays, expected)
    np.testing.assert_array_equal(prices.gross, expected)
    answered(len(published))
