"""Benefit rows: what funds grant to cards early in the day, and the loads that pick some of it up."""

from __future__ import annotations

import numpy as np

from clearing.simulate.city import City
from clearing.simulate.table import Table, length

_GRANT_STEP = 1_000
_LISTS_PER_DAY = 1_000


def add_grants(grants: Table, day: int, benefit_base: int, rng: np.random.Generator) -> Table:
    """Number the grants; returns their benefit columns. No purse moves yet, so ``amount`` stays 0."""
    count = length(grants)
    grants["txn_type"][:] = 0
    grants |= _no_price(count) | {"benefit_id": benefit_base + np.arange(count)}
    return {
        "list_id": day * _LISTS_PER_DAY + grants["venue"].astype(np.int64),
        "list_line": 1 + np.arange(count),
        "granted": _GRANT_STEP * rng.integers(5, 50, count),
    }


def add_pickups(pickups: Table, grants: Table, granted: Table, city: City) -> None:
    """Make each pick-up the load of one grant: same card, same amount, same benefit, of that fund."""
    count = length(pickups)
    pickups["card"] = grants["card"][:count].copy()
    pickups["amount"] = granted["granted"][:count].copy()
    pickups["txn_type"][:] = 2
    pickups |= _no_price(count) | {
        "benefit_id": grants["benefit_id"][:count].copy(),
        "due": pickups["amount"].copy(),
        "fund": city.fund_codes[grants["venue"][:count]],
    }


def _no_price(count: int) -> Table:
    return {name: np.zeros(count, np.int64) for name in ("due", "fund_paid", "fund")}
