"""Tiers: the edges a row has, what of its usage lies below each, and the exact amount that makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tariffs.columns import Codes, Ints
from tariffs.owners import in_ranges
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityUsages
from tariffs.utility.program import UtilityProgram
from tariffs.utility.tier_tables import TierTables

PROPORTIONAL_MAX = 3_000_000_000
"""Thousandths of a unit in a bill that can be shared in proportion: its square stays inside int64."""
_NO_SHARES = np.empty((0, 0), np.int64)


def extra_persons(program: UtilityProgram, household: Ints) -> Ints:
    """Persons of each row that widen its tiers, int64; zeros without a household step."""
    if program.household is None:
        return np.zeros(len(household), np.int64)
    above = np.clip(household - program.household.base_persons, 0, program.household.extra_persons_max)
    return np.asarray(above, np.int64)


@dataclass(frozen=True)
class Terms:
    """What the edges of each row depend on, all int64 (rows,).

    ``widening`` extra persons, or ``prorated`` their sum over the ``days`` of the tariff period; the days of the
    whole ``year`` when new prices cut it short; ``peak`` W, the highest demand in the bill.
    """

    widening: Ints
    prorated: bool
    days: Ints
    year: Ints
    peak: Ints


@dataclass(frozen=True)
class Rows:
    """Rows on their way through tiers: the alternative of each (int8), its time of use (int16), usage before it."""

    chosen: npt.NDArray[np.int8]
    use_period: npt.NDArray[np.int16]
    before: Ints
    usage: Ints


def tier_edges(
    tables: TierTables, chosen: npt.NDArray[np.int8], usages: UtilityUsages, terms: Terms, threads: int
) -> Ints:
    """Tier edges of each row, int64 (rows, K − 1) in thousandths of a unit."""
    filled = np.zeros((len(usages), tables.edges.shape[1]), np.int64)

    def fill(first: int, last: int) -> None:
        kernels.fill_edges(
            first,
            last,
            chosen,
            tables.tiers,
            tables.edges,
            tables.budgets,
            terms.prorated,
            terms.widening,
            terms.days,
            terms.year,
            terms.peak,
            usages.household,
            usages.allowance_milli,
            filled,
        )

    in_ranges(len(usages), fill, threads)
    return filled


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


def amounts(tables: TierTables, rows: Rows, edges: Ints, below: Ints | None, rule: Codes, threads: int) -> Ints:
    """Exact amount of each row in 1/(10 × price_scale) fen, int64 (rows, components of the tables).

    ``below`` (rows, K − 1) is what lies below each edge, None = the rows fill the tiers one after the other. Fills
    ``rule`` where it is 0.
    """
    exact = np.zeros((len(rows.usage), len(tables.columns)), np.int64)

    def price(first: int, last: int) -> None:
        kernels.price_tiers(
            first,
            last,
            rows.chosen,
            rows.use_period,
            rows.before,
            rows.usage,
            edges,
            tables.tiers,
            tables.prices,
            tables.first_rule,
            _NO_SHARES if below is None else below,
            exact,
            rule,
        )

    in_ranges(len(rows.usage), price, threads)
    return exact
