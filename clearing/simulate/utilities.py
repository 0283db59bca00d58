"""Utility rows: payments at the counter, each with one or several bills."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from card_io.records import Commodity
from clearing.config import Participant
from clearing.simulate.city import City
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.table import Bools, Ints, Table, length

_COMMODITY_PLACE: Final = {Commodity.WATER: 0, Commodity.ELECTRICITY: 1, Commodity.GAS: 2}
_UNITS: Final = ((2, 14), (30, 220), (2, 20))
"""Least and most units (m³, kWh, m³) of one bill; all inside the first annual tier."""

_GAS_FEN_PER_UNIT: Final = 263
_UNTARIFFED: Final = {"gas": _GAS_FEN_PER_UNIT * 100}
_BILLS_SHARES: Final = (0.5, 0.35, 0.15)
"""Share of payments with one, two and three bills."""

_ROUNDED_UP_SHARE: Final = 0.01
_LARGEST_ERROR: Final = 300


class BillPrices:
    """Component prices in 1/10 000 yuan per unit, by utility."""

    def __init__(self, folder: Path, utilities: tuple[Participant, ...]) -> None:
        self.components: list[dict[str, int]] = [_first_tier(folder, utility) for utility in utilities]

    def fen(self, utility: Ints, units: Ints) -> Ints:
        """What ``units`` cost in the first tier; each component rounds half up by itself."""
        total = np.zeros(len(units), np.int64)
        for index, components in enumerate(self.components):
            rows = utility == index
            for price in components.values():
                total[rows] += (2 * units[rows] * price + 100) // 200
        return total


def _first_tier(folder: Path, utility: Participant) -> dict[str, int]:
    if utility.tariff is None:
        return _UNTARIFFED
    content = yaml.load((folder / f"{utility.tariff}.yaml").read_text("utf-8"), yaml.CSafeLoader)
    steps: dict[str, Any] = {name: terms for step in content["steps"] for name, terms in step.items()}
    prices: dict[str, int] = steps["tiers"]["tiers"][0]["prices"]
    return prices


def add_bills(
    rows: Table, city: City, prices: BillPrices, bill_base: int, plan: FaultPlan, rng: np.random.Generator
) -> tuple[Table, Table]:
    """Fill in amounts of utility rows.

    Returns the rows' bill columns (``first_bill``, ``bill_count``) and the bills, ordered by row. Every bill has a
    number of its own from ``bill_base`` on, and an account that is read once, so that its year begins with it;
    ``price_error`` is what the utility billed too much by mistake, fen.
    """
    count = length(rows)
    bill_count = rng.choice(3, count, p=_BILLS_SHARES) + 1
    first_bill = np.cumsum(bill_count) - bill_count
    bills = _bills(rows, bill_count, city, prices, bill_base, rng)
    _pay_twice(rows, bills, first_bill, plan, rng)
    _misprice(rows, bills, first_bill, city, plan, rng)
    rows["amount"] = np.add.reduceat(bills["bill_amount"], first_bill) if count else np.zeros(0, np.int64)
    rounded = rng.random(count) < _ROUNDED_UP_SHARE
    rows["amount"][rounded] = -(-rows["amount"][rounded] // 1000) * 1000
    rows |= {
        "due": rows["amount"].copy(),
        "fund_paid": np.zeros(count, np.int64),
        "fund": np.zeros(count, np.int64),
    }
    _exceed_payment(rows, bills, first_bill, plan, rng)
    return {"first_bill": first_bill, "bill_count": bill_count}, bills


def _bills(
    rows: Table, bill_count: Ints, city: City, prices: BillPrices, bill_base: int, rng: np.random.Generator
) -> Table:
    parent = np.repeat(np.arange(len(bill_count)), bill_count)
    total = len(parent)
    place = np.arange(total) - np.repeat(np.cumsum(bill_count) - bill_count, bill_count)
    utility = (place + rng.integers(0, 3, len(bill_count))[parent]) % min(3, len(city.utilities))
    low, high = np.array(_UNITS)[utility].T
    units = rng.integers(low, high)
    date = rows["time"].astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)[parent] - 1
    commodity = np.array(list(_COMMODITY_PLACE), np.uint8)
    return {
        "utility_id": np.array([u.id for u in city.utilities], np.uint32)[utility],
        "bill_id": bill_base + np.arange(total),
        "commodity": commodity[utility],
        "account": bill_base + np.arange(total) + 7,
        "period": ((1970 + date // 12) * 100 + date % 12 + 1).astype(np.uint32),
        "household_size": rng.integers(1, 5, total).astype(np.uint8),
        "usage": units * 1000,
        "bill_amount": prices.fen(utility, units),
        "price_error": np.zeros(total, np.int64),
    }


def _pay_twice(rows: Table, bills: Table, first_bill: Ints, plan: FaultPlan, rng: np.random.Generator) -> None:
    """Let some payments carry a bill that another payment carries too."""
    count = len(first_bill)
    second = plan.choose(np.arange(count) >= count // 2, rng)
    first = rng.choice(count // 2, len(second), replace=False) if len(second) else second
    rows["mask"][second] |= Fault.DOUBLE_PAID_BILL.bit
    for column in bills.values():
        column[first_bill[second]] = column[first_bill[first]]


def _misprice(
    rows: Table, bills: Table, first_bill: Ints, city: City, plan: FaultPlan, rng: np.random.Generator
) -> None:
    """Let utilities with a tariff bill some usage wrongly; what they billed is what is paid."""
    tariffed = np.isin(bills["utility_id"][first_bill], [utility.id for utility in city.utilities if utility.tariff])
    chosen = plan.choose((rows["mask"] == 0) & _paid_once(bills, first_bill) & tariffed, rng)
    rows["mask"][chosen] |= Fault.BILL_MISPRICED.bit
    error = rng.integers(1, _LARGEST_ERROR, len(chosen)) * rng.choice([-1, 1], len(chosen))
    bills["price_error"][first_bill[chosen]] = error
    bills["bill_amount"][first_bill[chosen]] += error


def _paid_once(bills: Table, first_bill: Ints) -> Bools:
    """Payments whose first bill no other payment carries."""
    numbers, times = np.unique(bills["bill_id"], return_counts=True)
    once: Bools = times[np.searchsorted(numbers, bills["bill_id"][first_bill])] == 1
    return once


def _exceed_payment(rows: Table, bills: Table, first_bill: Ints, plan: FaultPlan, rng: np.random.Generator) -> None:
    """Let some bills say more than was paid; never one that is part of a double payment."""
    chosen = plan.choose((rows["mask"] == 0) & _paid_once(bills, first_bill), rng)
    rows["mask"][chosen] |= Fault.BILLS_EXCEED_PAYMENT.bit
    bills["bill_amount"][first_bill[chosen]] += 10_000
