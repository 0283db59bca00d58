"""How fast are bills and settlements priced? Medians of several runs, as JSON.

``utility tiers`` is a year of monthly readings under annual tiers in three components, ``medical`` visits under
deductible, shares, cap and a second fund: both in random order of arrival, sorting included, with counters carried
out. ``tiers × time of use`` is hourly readings of a year, tiers shared by the hours of a month: against NREL's SAM
(PySAM, in the interpreter given by ``--pysam``: pip install nrel-pysam into a venv of its own) and a plain numpy
version on the same load, whose bills are compared first. Rates are rows a second of wall time and of processor
time (which other work on the machine disturbs less).

    python benchmarks/tariff_bills.py [--rows 4000000] [--pysam PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()

import tariffs  # noqa: E402
from tariffs import (  # noqa: E402
    MedicalLedger,
    MedicalState,
    MedicalVisits,
    Tariff,
    UtilityState,
    UtilityUsages,
    load_tariff,
    price_utility,
    settle_medical,
    settle_visits,
    sum_bills,
)

REPEATS = 5
LIBRARY = Path(tariffs.__file__).parent / "library"
FIRST_DAY = (date(2026, 1, 1) - date(1970, 1, 1)).days
HOURS = 8_760
SCALE = 10_000
EDGES = (240, 400)
PRICES = {"peak": (5_883, 6_383, 8_883), "valley": (3_883, 4_383, 6_883)}
PEAK_HOURS = range(8, 22)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000, help="rows of one measurement")
    parser.add_argument("--pysam", help="interpreter with nrel-pysam")
    arguments = parser.parse_args()
    rows = arguments.rows
    result: dict[str, Any] = {"cpus": os.cpu_count(), "rows": rows, "repeats": REPEATS}
    for name, measure in (("utility tiers", utility_tiers), ("medical", medical)):
        result |= {f"{name}, {what}": rate for what, rate in measure(rows).items()}
    result["tiers × time of use"] = time_of_use(rows, arguments.pysam)
    files = {name: LIBRARY / f"{name}.yaml" for name in RECOMPILED}
    result["recompile_s"] = {name: seconds(partial(load_tariff, file)).wall for name, file in files.items()}
    print(json.dumps(result, indent=1, ensure_ascii=False))


RECOMPILED = ("beijing.water", "demo.electricity_business", "demo.employee.outpatient")


def utility_tiers(rows: int) -> dict[str, dict[str, float]]:
    """Twelve readings of each account, in random order and in order."""
    rng = np.random.default_rng(1)
    accounts = rng.integers(-(2**63), 2**63 - 1, rows // 12 + 1)
    shuffled = rng.permutation(rows)
    month = np.arange(rows) % 12
    columns = {
        "account": np.repeat(accounts, 12)[:rows],
        "sequence": month,
        "period_day": (FIRST_DAY + 30 * month + 14).astype(np.int32),
        "usage_milli": rng.integers(0, 60_000, rows),
        "household": rng.integers(1, 8, rows),
    }
    compiled = load_tariff(LIBRARY / "beijing.water.yaml").compiled[-1]
    usages = UtilityUsages.of(rows, **columns).take(shuffled)
    in_order = UtilityUsages.of(rows, **columns).take(np.lexsort((columns["sequence"], columns["account"])))
    state = UtilityState.zeros(0)
    return {
        "one thread": rate(rows, lambda: price_utility(compiled, usages, state)),
        "two threads": rate(rows, lambda: price_utility(compiled, usages, state, threads=2)),
        "rows in order, two threads": rate(rows, lambda: price_utility(compiled, in_order, state, threads=2)),
    }


def medical(rows: int) -> dict[str, dict[str, float]]:
    """Ten visits of each person in a year, in random order; with counters alone, and with the ledger."""
    rng = np.random.default_rng(2)
    persons = rng.integers(-(2**63), 2**63 - 1, rows // 10 + 1)
    visits = MedicalVisits.of(
        rows,
        person=persons[rng.integers(0, len(persons), rows)],
        sequence=rng.permutation(rows),
        settle_day=FIRST_DAY + rng.integers(0, 180, rows),
        insured=310,
        person_type=rng.choice([11, 11, 12], rows),
        level=rng.integers(1, 4, rows),
        category_a=rng.integers(0, 40_000, rows),
        category_b=rng.integers(0, 20_000, rows),
        category_c=rng.integers(0, 3_000, rows),
        account_available=rng.integers(0, 30_000, rows),
    )
    compiled = load_tariff(LIBRARY / "demo.employee.outpatient.yaml").compiled[-1]
    state, ledger = MedicalState.zeros(0), MedicalLedger.empty()
    assert settle_medical(compiled, visits.take(slice(0, 10_000)), state)[0].priced.mean() > 0.9
    return {
        "one thread": rate(rows, lambda: settle_medical(compiled, visits, state)),
        "two threads": rate(rows, lambda: settle_medical(compiled, visits, state, threads=2)),
        "with ledger, two threads": rate(rows, lambda: settle_visits(compiled, visits, ledger, threads=2)),
    }


def time_of_use(rows: int, pysam: str | None) -> dict[str, Any]:
    """Meter-years of hourly readings under tiers × time of use: here, in numpy, in PySAM."""
    meters = max(rows // HOURS, 1)
    load = hourly_load()
    with TemporaryDirectory() as folder:
        tariff = tou_tariff(Path(folder))
    hours = np.tile(np.arange(HOURS), meters)
    day = (FIRST_DAY + hours // 24).astype(np.int32)
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    usages = UtilityUsages.of(
        len(hours),
        account=np.repeat(np.arange(meters), HOURS),
        sequence=hours,
        period_day=day,
        minute=hours % 24 * 60,
        bill=month + 1,
        usage_milli=np.tile(load, meters),
    )
    compiled, state = tariff.compiled[0], UtilityState.zeros(0)
    prices, _ = price_utility(compiled, usages.take(slice(0, HOURS)), state)
    bills = sum_bills(prices, usages.bill[:HOURS])
    loads = np.tile(load, (meters, 1))
    plain = numpy_bills(loads[:1])[0]
    if np.abs(bills.gross - plain).max() > 1:
        raise SystemExit("numpy and this package disagree: compare the bills before the times")
    result: dict[str, Any] = {
        "here, one thread": rate(len(hours), lambda: price_utility(compiled, usages, state)),
        "here, two threads": rate(len(hours), lambda: price_utility(compiled, usages, state, threads=2)),
        "plain numpy, monthly bills only": rate(len(hours), lambda: numpy_bills(loads)),
    }
    if pysam is not None:
        request = json.dumps({"load": (load / 1000).tolist(), "edges": EDGES, "prices": PRICES, "scale": SCALE})
        done = subprocess.run([pysam, "-c", _PYSAM], input=request, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        if np.abs(np.array(answer["bills"]) * 100 - bills.gross).max() > 1:
            raise SystemExit("PySAM and this package disagree: compare the bills before the times")
        result["PySAM, one meter-year a call"] = {
            "s": answer["s"],
            "million_rows_per_s": round(HOURS / answer["s"] / 1e6, 2),
        }
        differences = np.abs(np.array(answer["bills"]) * 100 - bills.gross)
        result["largest difference to PySAM, fen"] = float(differences.max())
    return result


def hourly_load() -> Any:
    """Wh of each hour of a year, in summer and in the evening more."""
    hours = np.arange(HOURS)
    shape = 400 + 250 * np.sin(hours / 24 * 2 * np.pi - 2) + 200 * np.cos(hours / HOURS * 4 * np.pi)
    return np.maximum(shape + np.random.default_rng(3).normal(0, 60, HOURS), 0).astype(np.int64)


def tou_tariff(folder: Path) -> Tariff:
    """Three tiers a month with a peak and a valley price each, as the SAM cases have them."""
    tiers: list[dict[str, Any]] = [{"up_to": edge} for edge in EDGES] + [{}]
    for index, tier in enumerate(tiers):
        tier["prices"] = {"energy": {name: price[index] for name, price in PRICES.items()}}
    first, last = f"{PEAK_HOURS.start:02d}:00", f"{PEAK_HOURS.stop:02d}:00"
    periods = [
        {"name": "peak", "when": [{"from": first, "before": last}]},
        {"name": "valley", "when": [{"before": first}, {"from": last}]},
    ]
    frame = {"per": "account", "period": "calendar_month", "fill": "in_proportion"}
    content = {
        "id": "benchmark.tou",
        "kind": "utility",
        "title": "written by a benchmark",
        "source": "illustrative",
        "money": {"currency": "CNY", "unit": "fen"},
        "policy": "engine_priced",
        "late": {"grace_days": 0, "after_grace": "forward"},
        "published": {"first": date(2026, 1, 1), "last": date(2026, 12, 31)},
        "steps": [
            {"time_of_use": {"periods": periods}},
            {"tiers": frame | {"rounding": "half_up", "rounding_of": "bill", "tiers": tiers}},
        ],
        "tests": [{"name": "none", "date": date(2026, 1, 1), "rows": [{"minute": 0, "usage_milli": 0}],
                   "expect": [{"gross": 0}]}],
    }  # fmt: skip
    file = folder / "tou.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return load_tariff(file)


def numpy_bills(loads: Any) -> Any:
    """Monthly bills (fen, meters × 12) in plain numpy: usage by month and period, tiers in proportion, floats."""
    hours = np.arange(HOURS)
    days = np.datetime64("2026-01-01") + hours // 24
    month = days.astype("datetime64[M]").astype(np.int64) % 12
    peak = np.isin(hours % 24, PEAK_HOURS)
    starts = np.flatnonzero(np.diff(month, prepend=-1))
    used = {
        "peak": np.add.reduceat(np.where(peak, loads, 0), starts, axis=1) / 1000,
        "valley": np.add.reduceat(np.where(peak, 0, loads), starts, axis=1) / 1000,
    }
    total = used["peak"] + used["valley"]
    bounds = (0.0, *EDGES, np.inf)
    bill = np.zeros_like(total)
    for tier, (low, high) in enumerate(pairwise(bounds)):
        share = np.clip(total - low, 0, high - low) / np.maximum(total, 1e-9)
        for name, kwh in used.items():
            bill += share * kwh * PRICES[name][tier] / SCALE * 100
    return bill


_PYSAM = """
import json, sys, time
import PySAM.Utilityrate5 as rate
given = json.load(sys.stdin)
model = rate.new()
load, hours = given["load"], list(range(24))
peak = [2 if 8 <= hour < 22 else 1 for hour in hours]
rows = []
for period, name in ((1, "valley"), (2, "peak")):
    for tier, price in enumerate(given["prices"][name]):
        edge = given["edges"][tier] if tier < len(given["edges"]) else 1e38
        rows.append([period, tier + 1, edge, 0, price / given["scale"], 0])
values = {
    "analysis_period": 1, "system_use_lifetime_output": 0, "inflation_rate": 0, "degradation": [0],
    "en_electricity_rates": 1, "load": load, "gen": [0] * len(load), "grid_power": [-x for x in load],
    "ur_metering_option": 0, "ur_ec_sched_weekday": [peak] * 12, "ur_ec_sched_weekend": [peak] * 12,
    "ur_ec_tou_mat": rows, "ur_dc_enable": 0, "rate_escalation": [0], "ur_monthly_fixed_charge": 0,
    "ur_monthly_min_charge": 0, "ur_annual_min_charge": 0,
}
for name, value in values.items():
    try:
        model.value(name, value)
    except Exception:
        if name not in ("grid_power", "inflation_rate"):
            raise
model.execute()
times = []
for _ in range(20):
    start = time.perf_counter()
    model.execute()
    times.append(time.perf_counter() - start)
monthly = [row for row in model.Outputs.utility_bill_wo_sys_ym][1]
print(json.dumps({"s": sorted(times)[10], "bills": list(monthly)}))
"""


@dataclass(frozen=True)
class Seconds:
    """Medians of wall and processor time."""

    wall: float
    processor: float


def seconds(run: Callable[[], object]) -> Seconds:
    """Median times after one run that warms caches and compiles kernels."""
    run()
    wall, processor = [], []
    for _ in range(REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return Seconds(round(statistics.median(wall), 5), round(statistics.median(processor), 5))


def rate(rows: int, run: Callable[[], object]) -> dict[str, float]:
    """Seconds and millions of rows a second, by the wall and per core."""
    took = seconds(run)
    return {
        "s": took.wall,
        "million_rows_per_s": round(rows / took.wall / 1e6, 2),
        "million_rows_per_core_s": round(rows / took.processor / 1e6, 2),
    }


if __name__ == "__main__":
    main()
