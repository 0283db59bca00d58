"""Small worked examples of transit fares from public pages, by rule files of the library or written here.

OMNY stands in its own file; water, deductibles and claims belong to the other kinds of tariff. Not expressed:
the free hour of a bike that grows after a bus tap, because two tariffs would have to share a card's memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tariffs
from tariffs import Tariff, TransitJourneys, load_tariff, price_journeys, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"
BEIJING_DAY = (date(2026, 3, 2) - date(1970, 1, 1)).days * 86_400
SHENZHEN_DAY = (date(2018, 9, 3) - date(1970, 1, 1)).days * 86_400


@pytest.fixture
def examples(shared_data: Path) -> dict[str, Any]:
    return json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())


def paid_for(tariff: Tariff, **columns: Any) -> list[int]:
    """What one card pays for each journey."""
    length = len(columns["entry_time"])
    prices, _ = price_journeys(tariff, TransitJourneys.of(length, card=1, **columns))
    assert prices.priced.all()
    return prices.card_pays.tolist()


def test_beijing_month(examples: dict[str, Any], answered: Callable[[int], None]) -> None:
    """35 rides of 5 yuan: 20 in full, 13 at 80 %, then half; 157 yuan in all."""
    month = examples["beijing_subway_monthly"]
    tariff = load_tariff(LIBRARY / "beijing.subway_card.yaml")
    given = [(step["from_spent"] * 100, round(step["factor"] * 10_000)) for step in month["monthly"]]
    [cumulative] = [step for name, step in tariff.segments[-1].steps if name == "cumulative"]
    assert [(band.start, band.per_10000) for band in cumulative.bands] == given
    rides = month["derived_example"]["rides"]
    paid = paid_for(tariff, distance_m=15_000, entry_time=BEIJING_DAY + np.arange(rides) * 36_000)
    assert paid == [500] * 20 + [400] * 13 + [250] * 2
    assert sum(paid) == round(month["derived_example"]["paid_after_35"] * 100)
    answered(rides + 1)


def test_the_other_reading_of_beijing(tmp_path: Path, examples: dict[str, Any]) -> None:
    """The excess part: one file, one word changed; the ride that crosses a threshold splits there."""
    text = (LIBRARY / "beijing.subway_card.yaml").read_text("utf-8")
    file = tmp_path / "excess.yaml"
    file.write_text(text.replace("mode: next_ride", "mode: excess_part"))
    paid = paid_for(load_tariff(file), distance_m=32_000, entry_time=BEIJING_DAY + np.arange(40) * 36_000)
    # 16 rides of 6.00 = 96; of the next, 4.00 in full and 2.00 at 80 %; then 4.80 each up to 150.
    assert paid[15:18] == [600, 400 + 160, 480]
    crossing = int(np.searchsorted(np.cumsum(paid), 15_000))
    full_price_up_to_150 = (15_000 - sum(paid[:crossing])) * 10 // 8
    assert paid[crossing] == 15_000 - sum(paid[:crossing]) + (600 - full_price_up_to_150) // 2
    assert paid[crossing + 1] == 300


def test_shenzhen_bus_card(examples: dict[str, Any], answered: Callable[[int], None]) -> None:
    tariff = load_tariff(LIBRARY / "shenzhen.bus_window.yaml")
    given = examples["shenzhen_bus_card"]["derived_examples"]
    fares = [round(example["fare"] * 100) for example in given]
    charges = [round(example["charge"] * 100) for example in given]
    apart = SHENZHEN_DAY + np.arange(len(fares)) * 5_401
    assert paid_for(tariff, gross_fare=fares, entry_time=apart) == charges
    close = SHENZHEN_DAY + np.arange(len(fares)) * 5_400
    assert paid_for(tariff, gross_fare=fares, entry_time=close) == [charges[0], *(c - 40 for c in charges[1:])]
    assert len(fares) == 4
    answered(len(fares))


def test_the_older_shenzhen_page(tmp_path: Path, answered: Callable[[int], None]) -> None:
    """80 % of the first five yuan and a window of 30 minutes: 5 yuan costs 4.00, as a transfer 3.60."""
    text = (LIBRARY / "shenzhen.bus_window.yaml").read_text("utf-8").split("tests:")[0]
    older = text.replace("{up_to: 300, per_10000: 8000}", "{up_to: 500, per_10000: 8000}")
    older = older.replace("window_s: 5400", "window_s: 1800")
    file = tmp_path / "older.yaml"
    file.write_text(
        f"{older}tests:\n  - {{name: loads, date: 2018-09-03, rows: [{{gross_fare: 5}}], expect: [{{gross: 5}}]}}\n"
    )
    times = SHENZHEN_DAY + np.array([0, 1_800, 3_601])
    assert paid_for(load_tariff(file), gross_fare=[500] * 3, entry_time=times) == [400, 360, 400]
    answered(2)


def test_public_bike(examples: dict[str, Any], answered: Callable[[int], None]) -> None:
    """One hour free, then 1, 2 and 3 yuan for each started hour, added up."""
    tariff = load_tariff(LIBRARY / "demo.bike.yaml")
    given = examples["public_bike_hangzhou_style"]["derived_examples"]
    seconds = [example["min"] * 60 for example in given]
    fees = [round(example.get("fee", example.get("fee_if_additive")) * 100) for example in given]
    prices = price_transit(tariff.compiled[-1], TransitJourneys.of(len(seconds), duration_s=seconds))
    assert prices.card_pays.tolist() == fees
    assert len(fees) == 4
    answered(len(fees))


def test_shenzhen_metro_thresholds(tmp_path: Path, examples: dict[str, Any]) -> None:
    """A page gives thresholds without an example: they load as written and each takes effect on the next ride."""
    text = (LIBRARY / "beijing.subway_card.yaml").read_text("utf-8").split("      bands:\n        - {start")[0]
    levels = [
        (0, 10_000),
        *((a * 100, round(f * 10_000)) for a, f in examples["shenzhen_metro_cumulative"]["monthly"]),
    ]
    bands = "".join(f"        - {{start: {start}, per_10000: {ratio}}}\n" for start, ratio in levels)
    file = tmp_path / "shenzhen.yaml"
    file.write_text(
        f"{text}      bands:\n{bands}      rounding: half_up\n"
        "tests:\n  - {name: loads, date: 2026-03-02, rows: [{distance_m: 1}], expect: [{gross: 300}]}\n"
    )
    paid = paid_for(load_tariff(file), distance_m=15_000, entry_time=BEIJING_DAY + np.arange(36) * 36_000)
    before = np.cumsum([0, *paid[:-1]])
    ratios = np.array([ratio for _, ratio in levels])[
        np.searchsorted([s for s, _ in levels], before, side="right") - 1
    ]
    assert paid == (500 * ratios // 10_000).tolist()


def test_opal_rules(examples: dict[str, Any]) -> None:
    """The page gives rules, no sums: each is asserted on the library's file."""
    tariff = load_tariff(LIBRARY / "sydney.opal.yaml")
    monday = (date(2019, 8, 5) - date(1970, 1, 1)).days * 86_400 + 36_000
    assert any("after 8 paid journeys" in rule for rule in examples["opal"]["rules"])
    # Nine journeys of two legs on another mode, two a day: the ninth and its discount are halved.
    starts = monday + np.repeat(np.arange(9) * 43_200, 2) + np.tile([0, 1_800], 9)
    modes, fares = np.tile([1, 2], 9), np.tile([300, 250], 9)
    columns = {"entry_time": starts, "exit_time": starts + 600, "mode": modes, "gross_fare": fares}
    assert paid_for(tariff, **columns) == [300, 50] * 8 + [150, 25]
