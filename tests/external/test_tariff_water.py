"""Water bills of the worked examples: Hefei, the components of Beijing, daily tiers of Nanaimo."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from external.utility_rules import price_on, utility_tariff

pytestmark = pytest.mark.external

DAY = date(2019, 5, 1)
SCALE = 1_000_000
FRAME = {"per": "account", "rounding": "half_up", "rounding_of": "bill", "price_scale": SCALE}


@pytest.fixture(scope="module")
def examples(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())
    return found


def edges(values: list[int], name: str = "up_to") -> list[dict[str, int]]:
    return [{name: value} for value in values] + [{}]


def test_hefei(tmp_path: Path, examples: dict[str, Any], answered: Callable[[int], None]) -> None:
    """20 m³: both tiers and the total; a shared meter pays one price for all."""
    hefei = examples["hefei_water"]
    levels = [
        edge | {"prices": {"water": round(price * SCALE)}}
        for edge, price in zip(edges(hefei["tiers_m3_month"]), hefei["prices"], strict=True)
    ]
    shared = [{"prices": {"water": round(hefei["other"]["shared_meter"] * SCALE)}}]
    month = FRAME | {"period": "calendar_month"}
    tariff = utility_tariff(
        tmp_path,
        [
            {"tiers": month | {"only": {"customer_class": [1]}, "name": "shared_meter", "tiers": shared}},
            {"tiers": month | {"tiers": levels}},
        ],
    )
    example = hefei["example"]
    within, above = hefei["tiers_m3_month"][0], example["m3"] - hefei["tiers_m3_month"][0]
    prices, _ = price_on(tariff, DAY, 2, usage_milli=[within * 1000, above * 1000])
    assert prices.gross.tolist() == [round(example["tier1"] * 100), round(example["tier2"] * 100)]
    assert prices.gross.sum() == round(example["total"] * 100)
    prices, _ = price_on(tariff, DAY, 1, usage_milli=20_000, customer_class=1)
    assert prices.gross.tolist() == [round(20 * hefei["other"]["shared_meter"] * 100)]
    answered(4)


@pytest.mark.parametrize("kind", ["components", "own_well_components"])
def test_beijing_components(
    tmp_path: Path, examples: dict[str, Any], answered: Callable[[int], None], kind: str
) -> None:
    """One m³ in each tier of the year: water, resource fee and sewage by themselves, the tier price in sum."""
    beijing = examples["beijing_water_annual"]
    names = ("water", "resource", "sewage")
    levels = [
        edge | {"prices": {name: round(p * SCALE) for name, p in zip(names, parts, strict=True)}}
        for edge, parts in zip(edges(beijing["tiers_m3_year"]), beijing[kind], strict=True)
    ]
    tariff = utility_tariff(tmp_path, [{"tiers": FRAME | {"period": "calendar_year", "tiers": levels}}])
    first, second = beijing["tiers_m3_year"]
    usage = [1_000, (first - 1) * 1_000, 1_000, (second - first - 1) * 1_000, 1_000]
    prices, _ = price_on(tariff, DAY, len(usage), usage_milli=usage)
    expected = [[round(part * 100) for part in parts] for parts in beijing[kind]]
    assert prices.components[[0, 2, 4]].tolist() == expected
    assert prices.gross[[0, 2, 4]].tolist() == [price * 100 for price in beijing["prices"]]
    answered(12)


def test_nanaimo(tmp_path: Path, examples: dict[str, Any], answered: Callable[[int], None]) -> None:
    """Tiers in gallons per day over a bill of 112 days, fixed charges per day, three services in one bill."""
    case = examples["nanaimo_water_daily_tiers"]
    example = case["example"]
    levels = [
        edge | {"prices": {"water": round(rate * SCALE)}}
        for edge, rate in zip(
            edges([gallons * 1000 for gallons in case["tiers_gal_day"]], "up_to_per_day_milli"),
            case["rates_per_gal"],
            strict=True,
        )
    ]
    fixed = {
        "basic": case["basic_per_day"],
        "sewer": example["sewer_per_day"],
        "garbage": example["garbage_per_day"],
    }
    per_day = {"per": "day", "price_scale": SCALE, "rounding": "half_up"}
    steps = [{"tiers": FRAME | {"period": "bill", "tiers": levels}}] + [
        {"fixed": per_day | {"component": name, "prices": [{"price": round(price * SCALE)}]}}
        for name, price in fixed.items()
    ]
    usage = case["per_day_gal"] * case["days"] * 1000
    prices, sums = price_on(utility_tariff(tmp_path, steps), DAY, 1, usage_milli=usage, days=case["days"])
    assert sums["water"] + sums["basic"] == round(example["water"] * 100)
    assert sums["sewer"] == round(example["sewer"] * 100)
    assert sums["garbage"] == round(example["garbage"] * 100)
    assert prices.gross.tolist() == [round(example["total"] * 100)]
    answered(4)
