"""The weekly fare cap of New York by both definitions of the week, with the published charges ride by ride."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tariffs
from tariffs import Tariff, TransitJourneys, load_tariff, price_journeys

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"


@pytest.fixture
def examples(shared_data: Path) -> list[dict[str, Any]]:
    """Both dated windows: the published fare, cap and charges."""
    return json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())["omny_weekly_cap"]


def charges(tariff: Tariff, first_day: date, hours: list[int]) -> list[int]:
    """What one card pays for rides that many hours after noon of the day, always on one line."""
    noon = (first_day - date(1970, 1, 1)).days * 86_400 + 43_200
    journeys = TransitJourneys.of(len(hours), card=1, line=1, entry_time=noon + np.array(hours) * 3600)
    prices, _ = price_journeys(tariff, journeys)
    assert prices.priced.all()
    return prices.card_pays.tolist()


def test_published_charges(examples: list[dict[str, Any]], answered: Callable[[int], None]) -> None:
    tariff = load_tariff(LIBRARY / "newyork.omny.yaml")
    # A Monday of the first definition, a Wednesday of the second: its seven days end on a Tuesday.
    starts = (date(2023, 3, 6), date(2023, 9, 6))
    right = 0
    for example, start in zip(examples, starts, strict=True):
        expected = [round(charge * 100) for charge in example["example"]["charges"]]
        paid = charges(tariff, start, [12 * ride for ride in range(len(expected))])
        assert paid == expected
        assert sum(paid) == round(example["example"]["total"] * 100)
        right += len(expected) + 1
    assert right == 28
    answered(right)


def test_the_window_is_what_the_date_says(examples: list[dict[str, Any]]) -> None:
    """Thirteen rides from a Wednesday on: the fixed week ends on Sunday, the rolling one a week later."""
    tariff = load_tariff(LIBRARY / "newyork.omny.yaml")
    fixed = charges(tariff, date(2023, 3, 8), [12 * ride for ride in range(13)])
    assert fixed == [275] * 13
    rolling = charges(tariff, date(2023, 9, 6), [12 * ride for ride in range(15)])
    assert rolling == [290] * 11 + [210, 0, 290, 290]
