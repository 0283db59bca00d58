"""Electricity costs of we3lab/eeco: tiers filled in the order of time, demand with a peak carried in, dated prices.

The cases with expected costs, four tariffs of the sixteen files: the others come without an answer.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from external.utility_rules import price_on, utility_tariff

from tariffs import UtilityState

pytestmark = pytest.mark.external

DAY = date(2024, 7, 10)
QUARTERS = np.arange(96)
TIERS = {"per": "account", "period": "calendar_month", "rounding": "half_up", "rounding_of": "bill"}
WINDOWS = {
    "12-18h": [("12:00", "18:00")],
    "8.5-12h & 18-21.5h": [("08:30", "12:00"), ("18:00", "21:30")],
    "all day": [("00:00", "24:00")],
}


def load_kw(text: str) -> np.ndarray:
    """The load of a day by quarter hours: "100 x96" or "0,1,...,95"."""
    return np.full(96, int(text.split()[0])) if text.endswith("x96") else np.arange(96)


def clock(hour: str) -> str:
    return f"{int(float(hour)):02d}:{'30' if float(hour) % 1 else '00'}"


def energy_steps(file: Path) -> list[dict[str, Any]]:
    """Charges of a tariff table: a time of use per window, a tier per ``basic_charge_limit``."""
    with file.open(encoding="utf-8-sig") as lines:
        rows = [row for row in csv.DictReader(lines) if row["type"] == "energy"]
    hours = sorted({(float(row["hour_start"]), row["hour_start"], row["hour_end"]) for row in rows})
    names = {(start, end): f"from{index}" for index, (_, start, end) in enumerate(hours)}
    periods = [
        {"name": name, "when": [{"from": clock(start), "before": clock(end)}]} for (start, end), name in names.items()
    ]
    limits = sorted({int(row["basic_charge_limit"]) for row in rows})
    tiers: list[dict[str, Any]] = [{"up_to": limit} for limit in limits[1:]] + [{}]
    for limit, tier in zip(limits, tiers, strict=True):
        own = [row for row in rows if int(row["basic_charge_limit"]) == limit]
        prices = {names[row["hour_start"], row["hour_end"]]: round(float(row["charge"]) * 10_000) for row in own}
        tier["prices"] = {"energy": prices}
    return [{"time_of_use": {"periods": periods}}, {"tiers": TIERS | {"tiers": tiers}}]


def demand_steps(charges: dict[str, int]) -> list[dict[str, Any]]:
    listed = [
        {
            "name": f"charge{index}",
            "when": [{"from": start, "before": end} for start, end in WINDOWS[name]],
            "tiers": [{"price": price * 10_000}],
        }
        for index, (name, price) in enumerate(charges.items())
    ]
    frame = {"component": "demand", "assessed": "monthly", "rounding": "half_up"}
    return [{"demand": frame | {"charges": listed}}]


def test_costs_of_a_day(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    folder = shared_data / "tariffs/eeco-electric"
    cases = json.loads((folder / "cases.json").read_text())["cases"]
    charges: dict[str, int] = {}
    compared = 0
    for case in cases:
        if "effective_dates" in case:
            continue
        columns: dict[str, Any] = {"bill": 1, "minute": QUARTERS * 15}
        state = None
        if case.get("demand"):
            charges = case.get("charges", charges)
            tariff = utility_tariff(tmp_path, demand_steps(charges))
            columns |= {"usage_milli": 0, "demand_milli": np.arange(96) * 1000}
            if peaks := case.get("previous_peaks_in_month"):
                carried = [peaks[name] * 1000 for name in charges]
                state = UtilityState.of(
                    3, account=1, year=202407, usage_milli=0, register=[1, 2, 3], peak_milli=carried
                )
        else:
            tariff = utility_tariff(tmp_path, energy_steps(folder / case["tariff"]))
            columns |= {"usage_milli": load_kw(case["load_kw"]) * 250}
        prices, _ = price_on(tariff, DAY, 96, state, **columns)
        expected = case.get("expected_cost", case.get("expected_incremental_cost"))
        assert prices.gross.sum() == round(expected * 100), case
        compared += 1
    assert compared >= 5
    answered(compared)


def test_effective_dates(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    """0.05 through 20 July 2024, 0.075 from the day after: a kWh on every day around the change."""
    with (shared_data / "tariffs/eeco-electric/billing_effective.csv").open(encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    starts = [datetime.strptime(row["effective_start_date"], "%m/%d/%Y").date() for row in rows]
    energy = {
        start: [{"prices": {"energy": round(float(row["charge"]) * 10_000)}}]
        for start, row in zip(starts, rows, strict=True)
    }
    steps = [{"tiers": TIERS | {"tiers": {"use": "energy"}}}]
    tariff = utility_tariff(tmp_path, steps, first=starts[0], last=date(2024, 12, 31), values={"energy": energy})
    for offset in range(-2, 3):
        prices, _ = price_on(tariff, date(2024, 7, 21) + timedelta(days=offset), 1, usage_milli=1_000_000)
        assert prices.gross.tolist() == [5_000 if offset < 0 else 7_500]
    answered(2)
