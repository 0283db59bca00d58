"""Californian water rates in the Open Water Rate Specification: four bills, and a whole tariff of six classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from external.utility_rules import price_on, utility_tariff

pytestmark = pytest.mark.external

DAY = date(2016, 3, 1)
FRAME = {"per": "account", "period": "bill", "rounding": "half_up", "rounding_of": "bill"}


def fen(amount: float) -> int:
    return int((Decimal(str(amount)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def tiers(component: str, edges: list[dict[str, Any]], prices: list[float], **more: Any) -> dict[str, Any]:
    """A tiers step; the last price has no edge."""
    levels = [
        edge | {"prices": {component: round(price * 10_000)}}
        for edge, price in zip([*edges, {}], prices, strict=True)
    ]
    return {"tiers": FRAME | {"name": component, "tiers": levels} | more}


def ends(starts: list[int]) -> list[dict[str, int]]:
    """Edges of tiers given by the first unit of each: a tier ends one unit before the next begins."""
    return [{"up_to": start - 1} for start in starts[1:]]


def share(persons: int, allowance: int) -> dict[str, Any]:
    return {"up_to_budget": {"persons_per_10000": persons, "allowance_per_10000": allowance}}


BUDGET = {"round_to_milli": 1_000, "rounding": "half_up"}


def site_allowance(case: dict[str, Any], factor: str) -> int:
    """Outdoor budget of a site in thousandths of 100 cubic feet: area × evapotranspiration × factor."""
    return round(case[factor] * case["irrigable_area"] * case["et_amount"] * 0.62 / 748 * 1000)


def rules_and_row(case: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The steps of a case's class and what its reading carries beside the usage."""
    name, prices = case["class"], case["tier_prices"]
    if name == "COMMERCIAL":  # sewer: 2.00 up to 100 % of a budget, nothing above
        sewer = tiers("sewer", [share(0, 10_000)], case["sewer"]["prices"], budget=BUDGET)
        return [tiers("water", ends(case["tier_starts"]), prices), sewer], {
            "allowance_milli": case["sewer"]["budget"] * 1000
        }
    if name == "RESIDENTIAL_SINGLE":
        sewer = tiers("sewer", ends(case["sewer"]["starts"]), case["sewer"]["prices"])
        return [tiers("water", ends(case["tier_starts"]), prices), sewer], {}
    if name == "IRRIGATION":
        steps = [tiers("water", [share(0, 10_000)], prices, budget=BUDGET), tiers("sewer", [], [1.5])]
        return steps, {"allowance_milli": site_allowance(case, "et_factor")}
    edges = [share(10_000, 0), share(10_000, 10_000), share(12_500, 12_500)]
    per_person = {"per_person_milli": round(case["gpcd"] * case["days"] / 748 * 1000)}
    row = {"household": case["hhsize"], "allowance_milli": site_allowance(case, "landscape_factor")}
    return [tiers("water", edges, prices, budget=BUDGET | per_person)], row


def test_bills(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    cases = json.loads((shared_data / "tariffs/owrs-water/rateparser_cases.json").read_text())["cases"]
    for case in cases:
        steps, row = rules_and_row(case)
        service = {"component": "service", "per": "bill", "rounding": "half_up"}
        steps.append({"fixed": service | {"prices": [{"price": case["service"] * 10_000}]}})
        usage = round(case["usage_ccf"] * 1000)
        prices, _ = price_on(utility_tariff(tmp_path, steps), DAY, 1, usage_milli=usage, **row)
        assert prices.gross.tolist() == [fen(case["expected_bill"])], case["class"]
    answered(len(cases))
    assert len(cases) >= 4


def by_meter_and_water(rates: dict[str, Any], first_class: int) -> list[dict[str, Any]]:
    """A step per meter size and kind of water of one class; a kind of water makes a customer class of its own."""
    starts, prices = rates["tier_starts"], rates["tier_prices"]
    if isinstance(starts, list):
        return [tiers("water", ends(starts), prices, only={"customer_class": [first_class]})]
    steps = []
    for kind, own in enumerate(prices["values"].values()):
        for meter, tier_starts in enumerate(starts["values"].values()):
            only = {"customer_class": [first_class + kind], "meter_size": [meter]}
            steps.append(tiers("water", ends(tier_starts), own, only=only, name=f"class{first_class + kind}_{meter}"))
    return steps


def test_a_whole_tariff(tmp_path: Path, shared_data: Path) -> None:
    """Santa Monica: six classes, ten meter sizes, two kinds of water in one rule file; bills on and off the edges."""
    file = shared_data / "tariffs/owrs-water/santa-monica-2016-03-01.owrs"
    classes = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)["rate_structure"]
    steps = [step for number, rates in enumerate(classes.values()) for step in by_meter_and_water(rates, 10 * number)]
    tariff = utility_tariff(tmp_path, steps)
    for number, rates in enumerate(classes.values()):
        starts, prices = rates["tier_starts"], rates["tier_prices"]
        meters = [starts] if isinstance(starts, list) else list(starts["values"].values())
        kinds = [prices] if isinstance(prices, list) else list(prices["values"].values())
        for kind, own in enumerate(kinds):
            for meter, first_units in enumerate(meters):
                units = np.array([0, 1, *(s + d for s in first_units[1:] for d in (-1, 0, 1))])
                answers, _ = price_on(
                    tariff,
                    DAY,
                    len(units),
                    usage_milli=units * 1000,
                    customer_class=10 * number + kind,
                    meter_size=meter,
                )
                price_of_unit = [own[int(np.searchsorted(first_units, unit, "right")) - 1] for unit in range(1, 6000)]
                bills = [round(100 * sum(price_of_unit[:unit])) for unit in units.tolist()]
                assert answers.gross.tolist() == bills
