"""Tiers: the edges a row has, what of its usage lies below each, and the exact amount that makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Ints
from tariffs.rounding import RATIO_ONE, divide
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityUsages
from tariffs.utility.program import TierTable, UtilityProgram

PROPORTIONAL_MAX = 3_000_000_000
"""Thousandths of a unit in a bill that can be shared in proportion: its square stays inside int64."""


def extra_persons(program: UtilityProgram, household: Ints) -> Ints:
    """Persons of each row that widen its tiers, int64; zeros without a household step."""
    if program.household is None:
        return np.zeros(len(household), np.int64)
    above = np.clip(household - program.household.base_persons, 0, program.household.extra_persons_max)
    return np.asarray(above, np.int64)


@dataclass(frozen=True)
class Terms:
    """What the edges of each row depend on, all int64 (rows,).

    ``widening`` ÷ ``over`` (None = 1) extra persons (a mean over days has a fraction); ``days`` of the tariff period,
    and of the whole ``year`` when new prices cut it short; ``peak`` W, the highest demand in the bill.
    """

    widening: Ints
    over: Ints | None
    days: Ints
    year: Ints
    peak: Ints

    def take(self, rows: slice | Ints) -> Terms:
        """Those of some rows."""
        over = None if self.over is None else self.over[rows]
        return Terms(self.widening[rows], over, self.days[rows], self.year[rows], self.peak[rows])


def tier_edges(table: TierTable, usages: UtilityUsages, terms: Terms) -> Ints:
    """Tier edges of each row, int64 (rows, K − 1) in thousandths of a unit; fractions of them are dropped."""
    edges: Ints = np.broadcast_to(table.edges, (len(usages), len(table.edges)))
    if table.edge_per_person.any():
        wider = terms.widening[:, None] * table.edge_per_person
        edges = edges + (wider if terms.over is None else wider // terms.over[:, None])
    if (terms.days != terms.year).any():
        edges = edges * terms.days[:, None] // terms.year[:, None]
    if table.edge_per_day.any():
        edges = edges + terms.days[:, None] * table.edge_per_day
    if table.edge_per_kw.any():
        edges = edges + terms.peak[:, None] * table.edge_per_kw // 1000
    if table.edge_per_kw_day.any():
        edges = edges + terms.peak[:, None] * terms.days[:, None] * table.edge_per_kw_day // 1000
    if table.budget is None:
        return edges
    budget, step = table.budget, table.budget.round_to_milli
    each = budget.per_person_milli + terms.days * budget.per_person_day_milli
    persons = divide(usages.household * each, step, budget.rounding) * step
    allowance = divide(usages.allowance_milli, step, budget.rounding) * step
    shares = persons[:, None] * table.persons_share + allowance[:, None] * table.allowance_share
    return edges + divide(shares, RATIO_ONE * step, budget.rounding) * step


def below_in_proportion(edges: Ints, bill_before: Ints, usage: Ints, running: Ints, total: Ints) -> Ints:
    """The part of each row's usage below each edge, when the rows of a bill share each tier in proportion.

    ``edges`` (rows, K − 1); of the bill ``bill_before``, the cumulated usage before it, its ``total`` and the
    ``running`` usage up to and with the row, all int64 (rows,). A row gets what it adds to the share of the rows up
    to it, rounded down, so that the shares of a bill add up.
    """
    filled = np.minimum(np.maximum(edges - bill_before[:, None], 0), total[:, None])
    divisor = np.maximum(total, 1)[:, None]
    below: Ints = filled * running[:, None] // divisor - filled * (running - usage)[:, None] // divisor
    return below


def amounts(table: TierTable, below: Ints, usage: Ints, use_period: Ints) -> Ints:
    """Exact amount of each row in 1/(10 × price_scale) fen, int64 (rows, components of the table).

    ``below`` (rows, K − 1) as above, ``use_period`` (rows,) the index of the time of use.
    """
    exact = np.empty((len(usage), table.prices.shape[2]), np.int64)
    kernels.tier_amounts(below, usage, use_period, table.prices, exact)
    return exact
