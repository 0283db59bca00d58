"""Tiers: the edges a row has, what of its usage lies below each, and the exact amount that makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tariffs.columns import Codes, Ints
from tariffs.rounding import KERNEL_ROUNDING
from tariffs.threads import each_chunk
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityUsages
from tariffs.utility.program import UtilityProgram
from tariffs.utility.tier_tables import TierTables

PROPORTIONAL_MAX = 3_000_000_000
"""Thousandths of a unit in a bill that can be shared in proportion: its square stays inside int64."""
_NO_SHARES = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


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
class Shares:
    """Of bills whose rows share each tier: usage before the bill, up to and with the row, and of the bill; int64."""

    before: Ints
    until: Ints
    total: Ints


@dataclass(frozen=True)
class Rows:
    """Rows on their way through tiers: the alternative of each (int8), its time of use (int16), usage before it."""

    chosen: npt.NDArray[np.int8]
    use_period: npt.NDArray[np.int16]
    before: Ints
    usage: Ints


def tier_edges(tables: TierTables, chosen: npt.NDArray[np.int8], usages: UtilityUsages, terms: Terms) -> Ints:
    """Tier edges of each row, int64 (rows, K − 1) in thousandths of a unit."""
    filled = np.zeros((len(usages), tables.edges.shape[1]), np.int64)
    _fill_edges(0, len(usages), tables, chosen, usages, terms, filled)
    return filled


def _fill_edges(
    first: int,
    last: int,
    tables: TierTables,
    chosen: npt.NDArray[np.int8],
    usages: UtilityUsages,
    terms: Terms,
    filled: Ints,
) -> None:
    kernels.fill_edges(
        first,
        last,
        chosen,
        tables.arrays,
        terms.prorated,
        terms.widening,
        terms.days,
        terms.year,
        terms.peak,
        usages.household,
        usages.allowance_milli,
        filled,
    )


def add_amounts(
    tables: TierTables,
    rows: Rows,
    usages: UtilityUsages,
    terms: Terms,
    shares: Shares | None,
    divisor: int,
    amounts: Ints,
    rule: Codes,
    threads: int,
) -> None:
    """Fill the columns of ``tables`` in ``amounts``, int64 (rows, components), and ``rule`` where it is 0.

    Exact in 1/(10 × price_scale) fen, or with a ``divisor`` the fen that each row adds to the rounded running total.
    """
    columns = amounts[:, tables.columns[0] : tables.columns[-1] + 1]
    parts = _NO_SHARES if shares is None else (shares.before, shares.until, shares.total)
    rounding = KERNEL_ROUNDING[tables.rounding]

    def price(at: slice) -> None:
        edges = np.zeros((at.stop - at.start, tables.edges.shape[1]), np.int64)
        _fill_edges(at.start, at.stop, tables, rows.chosen, usages, terms, edges)
        kernels.price_tiers(
            at.start,
            at.stop,
            rows.chosen,
            rows.use_period,
            rows.before,
            rows.usage,
            edges,
            tables.arrays,
            parts,
            divisor,
            rounding,
            columns,
            rule,
        )

    each_chunk(len(rows.usage), price, threads)
