"""Electricity bills computed by NREL's SAM (utilityrate5): times of use × tiers, daily baselines, demand charges.

The tariff matrices of the cases are written as rule files here: a time of use per period of the schedules, a tier
per row of the matrix, a demand charge per period. Loads are summed to whole Wh per hour without losing any.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from external.utility_rules import utility_tariff

from tariffs import UtilityState, UtilityUsages, compile_segment, price_utility
from tariffs.utility.bills import sum_bills

pytestmark = pytest.mark.external

SCALE = 100_000_000
FIRST_DAY = (date(2018, 1, 1) - date(1970, 1, 1)).days
"""A Monday in a year of 365 days, as the cases have it."""
OPEN_END = 1e30


UNITS = {0: "up_to", 1: "up_to_per_kw_milli", 2: "up_to_per_day_milli", 3: "up_to_per_kw_day_milli"}
"""Edges in kWh, kWh per kW of the month's peak, kWh per day, kWh per kW and day."""


def windows(weekday: list[list[float]], weekend: list[list[float]], period: float) -> list[dict[str, Any]]:
    """The hours of a 12 × 24 schedule in which ``period`` holds, a window per run of hours."""
    found = []
    for days, schedule in ((["mon", "tue", "wed", "thu", "fri"], weekday), (["sat", "sun"], weekend)):
        for month, hours in enumerate(schedule, start=1):
            begins = [h for h in range(24) if hours[h] == period and (h == 0 or hours[h - 1] != period)]
            ends = [h + 1 for h in range(24) if hours[h] == period and (h == 23 or hours[h + 1] != period)]
            for begin, end in zip(begins, ends, strict=True):
                clock = {"from": f"{begin:02d}:00", "before": f"{end:02d}:00"}
                found.append({"months": [month], "days": days} | clock)
    return found


def energy_steps(tariff: dict[str, Any]) -> list[dict[str, Any]]:
    """Times of use and tiers of ``ur_ec_tou_mat``: period, tier, edge, unit, price.

    Periods with the same edges make one tiers step; other edges belong to another season.
    """
    weekday, weekend = tariff["ur_ec_sched_weekday"], tariff["ur_ec_sched_weekend"]
    matrix = tariff["ur_ec_tou_mat"]
    periods = sorted({row[0] for row in matrix})
    uses = [{"name": f"p{period:.0f}", "when": windows(weekday, weekend, period)} for period in periods]
    seasons: dict[str, list[list[float]]] = {}
    for period in periods:
        rows = [row for row in matrix if row[0] == period]
        seasons.setdefault(str([row[2:4] for row in rows]), []).extend(rows)
    frame = {"per": "account", "period": "calendar_month", "price_scale": SCALE, "fill": "in_proportion"}
    rounding = {"rounding": "half_up", "rounding_of": "bill"}
    steps: list[dict[str, Any]] = [{"time_of_use": {"periods": uses}}]
    for number, rows in enumerate(seasons.values()):
        tiers = []
        for level in sorted({row[1] for row in rows}):
            same = [row for row in rows if row[1] == level]
            edge, unit = same[0][2:4]
            tier: dict[str, Any] = {"prices": {"energy": {f"p{row[0]:.0f}": round(row[4] * SCALE) for row in same}}}
            if edge < OPEN_END:
                tier |= {UNITS[unit]: round(edge * (1 if unit == 0 else 1000))}
            tiers.append(tier)
        steps.append({"tiers": {"name": f"season{number}"} | frame | rounding | {"tiers": tiers}})
    return steps


def demand_tiers(rows: list[list[float]]) -> list[dict[str, int]]:
    return [
        {"price": round(price * SCALE)} | ({"up_to": round(edge)} if edge < OPEN_END else {}) for edge, price in rows
    ]


def demand_steps(tariff: dict[str, Any]) -> list[dict[str, Any]]:
    """Demand charges by time of use, with tiers, and at all times with a price per month."""
    if not tariff["ur_dc_enable"]:
        return []
    charges = []
    for period in sorted({row[0] for row in tariff.get("ur_dc_tou_mat", [])}):
        rows = [row[2:] for row in tariff["ur_dc_tou_mat"] if row[0] == period]
        when = windows(tariff["ur_dc_sched_weekday"], tariff["ur_dc_sched_weekend"], period)
        charges.append({"name": f"p{period:.0f}", "when": when, "tiers": demand_tiers(rows)})
    for month in range(12):
        rows = [row[2:] for row in tariff.get("ur_dc_flat_mat", []) if row[0] == month]
        if rows:
            when = [{"months": [month + 1]}]
            charges.append({"name": f"m{month + 1}", "when": when, "tiers": demand_tiers(rows)})
    frame = {"component": "demand", "assessed": "monthly", "price_scale": SCALE, "rounding": "half_up"}
    return [{"demand": frame | {"charges": charges}}]


def hourly_usages(load_kw: np.ndarray) -> UtilityUsages:
    """One row per hour, one bill per month."""
    hours = np.arange(len(load_kw))
    days = (FIRST_DAY + hours // 24).astype(np.int32)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    meter = np.rint(np.cumsum(load_kw) * 1000).astype(np.int64)
    return UtilityUsages.of(
        len(load_kw),
        account=1,
        sequence=hours,
        period_day=days,
        minute=hours % 24 * 60,
        bill=month + 1,
        usage_milli=np.diff(meter, prepend=0),
        demand_milli=np.rint(load_kw * 1000).astype(np.int64),
    )


def test_monthly_bills(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    """Every month of every tariff, energy and demand apart: within 0.01 of the printed currency."""
    folder = shared_data / "tariffs/sam-utility-bills"
    cases = json.loads((folder / "cases.json").read_text())
    assert len(cases) >= 4
    for case in cases:
        expected = case["expected"]
        usages = hourly_usages(np.loadtxt(folder / case["load_file"]))
        compiled = compile_segment(
            utility_tariff(tmp_path, energy_steps(case["tariff"]) + demand_steps(case["tariff"])), 0
        )
        prices, _ = price_utility(compiled, usages, UtilityState.zeros(0))
        bills = sum_bills(prices, usages.bill)
        assert bills.priced.all()
        by_name = dict(zip(compiled.component_names, bills.components.T, strict=True))
        demand = np.array(expected["monthly_tou_demand_charge"]) + expected["monthly_flat_demand_charge"]
        for fen, bill in (
            (by_name["energy"], np.array(expected["monthly_energy_charge"])),
            (by_name.get("demand", np.zeros(12, np.int64)), demand),
            (bills.gross, np.array(expected["monthly_bill"])),
        ):
            assert np.abs(fen / 100 - bill).max() <= 0.01, case["name"]
            answered(12)
