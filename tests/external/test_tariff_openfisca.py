"""OpenFisca's scales: marginal rates as tiers of a yearly quantity, stairs of amounts as bands, dated parameters.

A quantity of money is a usage in units of the currency, and a rate the price of a unit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from external.rule_files import write_tariff
from external.utility_rules import price_on, utility_tariff

from tariffs import TransitJourneys, compile_segment, load_tariff, price_transit

pytestmark = pytest.mark.external

FRAME = {"per": "account", "period": "bill", "rounding_of": "bill"}
DAY = date(2017, 1, 1)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "tariffs/openfisca-scales"


def marginal_tiers(brackets: list[list[float]], scale: int) -> list[dict[str, Any]]:
    """Thresholds and rates as tiers, prices in 1/``scale``."""
    ends: list[dict[str, int]] = [{"up_to": round(threshold)} for threshold, _ in brackets[1:]]
    return [
        end | {"prices": {"tax": round(rate * scale)}} for end, (_, rate) in zip([*ends, {}], brackets, strict=True)
    ]


def test_marginal_rates(tmp_path: Path, folder: Path, answered: Callable[[int], None]) -> None:
    """Exact in 1/10,000 of the currency, or rounded to the decimals of the case (base and amount, half to even)."""
    for case in json.loads((folder / "taxscale_cases.json").read_text()):
        if case["kind"] != "marginal_rate":
            continue
        decimals = case.get("round_base_decimals")
        # The smallest coin stands for this many decimals of the currency.
        coin = 10 ** (4 if decimals is None else decimals)
        steps: list[dict[str, Any]] = []
        if decimals is not None:
            steps.append({"reading": {"round_to_milli": 1000 // coin, "rounding": "half_even"}})
        levels = marginal_tiers(case["brackets"], 10_000 * coin // 100)
        steps.append({"tiers": FRAME | {"rounding": "half_even", "tiers": levels}})
        bases = [round(base * 1000) for base in case["base"]]
        prices, _ = price_on(utility_tariff(tmp_path, steps), DAY, len(bases), usage_milli=bases)
        assert prices.gross.tolist() == [round(amount * coin) for amount in case["expected"]]
        answered(len(bases))


def test_stairs(tmp_path: Path, folder: Path, answered: Callable[[int], None]) -> None:
    """Amounts by bracket, alone or with those below it, and rates by bracket (in 1/10,000), as bands of fares."""
    for case in json.loads((folder / "taxscale_cases.json").read_text()):
        kind = case["kind"]
        if kind == "marginal_rate":
            continue
        coin = 10_000 if kind == "rate_at" else 100
        fares, total = [0], 0
        for _, amount in case["brackets"]:
            total = round(amount * coin) + (total if kind == "marginal_amount" else 0)
            fares.append(total)
        # A bracket begins above its threshold here, where a base on the threshold would count as below it: none is.
        thresholds = [threshold for threshold, _ in case["brackets"]]
        first = 1 if thresholds[0] == 0 else 0
        bands: list[dict[str, int]] = [{"up_to": threshold} for threshold in thresholds[first:]] + [{}]
        bands = [band | {"fare": fare} for band, fare in zip(bands, fares[first:], strict=True)]
        file = write_tariff(
            tmp_path,
            "test.stairs",
            "CNY",
            ("2010-01-01", "2030-12-31"),
            [{"bands": {"of": "distance_m", "mode": "step", "bands": bands}}],
        )
        bases = [round(base) for base in case["base"]]
        prices = price_transit(
            compile_segment(load_tariff(file), 0), TransitJourneys.of(len(bases), distance_m=bases)
        )
        assert prices.gross.tolist() == [round(amount * coin) for amount in case["expected"]], kind
        answered(len(bases))


def dated_scale(file: Path) -> dict[date, list[dict[str, Any]]]:
    """A scale whose rates and thresholds change on different days: the tiers on every day of change."""
    brackets = yaml.load(file.read_text(), yaml.CSafeLoader)["brackets"]
    days = sorted({day for bracket in brackets for part in bracket.values() for day in part})
    found = {}
    for day in days:
        known = [
            [max((d, v["value"]) for d, v in bracket[part].items() if d <= day)[1] for part in ("threshold", "rate")]
            for bracket in brackets
            if min(bracket["threshold"]) <= day
        ]
        found[day] = marginal_tiers(known, 10_000)
    return found


def month_start(test: dict[str, Any]) -> date:
    year, month = str(test["period"]).split("-")
    return date(int(year), int(month), 1)


def test_social_security(tmp_path: Path, folder: Path, answered: Callable[[int], None]) -> None:
    scale = dated_scale(folder / "social_security_contribution.param.yaml")
    steps = [{"tiers": FRAME | {"rounding": "half_up", "tiers": {"use": "scale"}}}]
    tariff = utility_tariff(tmp_path, steps, first=min(scale), values={"scale": scale})
    for test in yaml.load((folder / "social_security_contribution.test.yaml").read_text(), yaml.CSafeLoader):
        prices, _ = price_on(tariff, month_start(test), 1, usage_milli=test["input"]["salary"] * 1000)
        assert prices.gross.tolist() == [test["output"]["social_security_contribution"] * 100]
        answered(1)


def test_income_tax(tmp_path: Path, folder: Path, answered: Callable[[int], None]) -> None:
    """A flat rate; a placeholder ("expected") is no value."""
    published = yaml.load((folder / "income_tax_rate.param.yaml").read_text(), yaml.CSafeLoader)["values"]
    rates = {day: marginal_tiers([[0, v["value"]]], 10_000) for day, v in published.items() if v != "expected"}
    steps = [{"tiers": FRAME | {"rounding": "half_up", "tiers": {"use": "rates"}}}]
    tariff = utility_tariff(tmp_path, steps, first=min(rates), values={"rates": rates})
    for test in yaml.load((folder / "income_tax.test.yaml").read_text(), yaml.CSafeLoader):
        prices, _ = price_on(tariff, month_start(test), 1, usage_milli=test["input"]["salary"] * 1000)
        assert prices.gross.tolist() == [test["output"]["income_tax"] * 100]
        answered(1)


def test_housing_tax(tmp_path: Path, folder: Path, answered: Callable[[int], None]) -> None:
    """A price per m² with a minimum; free lodgers are a class of their own that pays nothing."""
    published = yaml.load((folder / "housing_tax.param.yaml").read_text(), yaml.CSafeLoader)
    rate = published["rate"]["values"][date(2010, 1, 1)]
    least = published["minimal_amount"]["values"][date(2010, 1, 1)]
    payers, lodgers = {"customer_class": [0]}, {"customer_class": [1]}
    frame = FRAME | {"rounding": "half_up"}
    steps = [
        {"tiers": frame | {"name": "payers", "only": payers, "tiers": marginal_tiers([[0, rate]], 10_000)}},
        {"tiers": frame | {"name": "lodgers", "only": lodgers, "tiers": marginal_tiers([[0, 0]], 10_000)}},
        {"minimum": {"component": "minimum", "per": "bill", "only": payers, "amount": least * 100}},
    ]
    tariff = utility_tariff(tmp_path, steps)
    for test in yaml.load((folder / "housing_tax.test.yaml").read_text(), yaml.CSafeLoader):
        [area] = test["input"]["accommodation_size"].values()
        lodger = "free_lodger" in test["input"].get("housing_occupancy_status", {}).values()
        prices, _ = price_on(tariff, DAY, 1, usage_milli=area * 1000, customer_class=int(lodger))
        assert prices.gross.tolist() == [test["output"]["housing_tax"] * 100]
        answered(1)
