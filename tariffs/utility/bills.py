"""Bills: which rows make one up, amounts rounded once per bill, what falls due once, and sums for payment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.owner_order import order_rows
from tariffs.rounding import KERNEL_ROUNDING, RATIO_ONE, divide
from tariffs.threads import over_runs
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityBills, UtilityPrices, UtilityUsages
from tariffs.utility.program import UtilityProgram


@dataclass(frozen=True)
class Bills:
    """The bills of a batch: run b of ``order`` (row numbers by sequence), ``begins[b]`` to ``begins[b + 1]``, is one.

    int64; rows that are not priced stand in none. ``alone``: every bill is one row.
    """

    order: Ints
    begins: Ints
    alone: bool
    threads: int

    @property
    def first(self) -> Ints:
        """First row of each bill."""
        return self.order[self.begins[:-1]]

    @property
    def last(self) -> Ints:
        """Last row of each bill."""
        return self.order[self.begins[1:] - 1]

    def running(self, amounts: Ints) -> tuple[Ints, Ints, Ints]:
        """Per row, int64: sum of its bill up to and with it, sum of the bill, largest amount of the bill."""
        if self.alone:
            return amounts, amounts, amounts
        until, total, most = (np.zeros(len(amounts), np.int64) for _ in range(3))

        def walk(first: int, last: int) -> None:
            kernels.running(self.order, self.begins, first, last, amounts, until, total, most)

        over_runs(self.begins, walk, self.threads)
        return until, total, most


def group_bills(usages: UtilityUsages, priced: Bools, threads: int) -> Bills:
    """Put the rows that are ``priced`` together into bills; a row without a bill number is one.

    Raises ValueError when two rows of one bill have the same sequence.
    """
    rows = np.arange(len(usages)) if priced.all() else np.flatnonzero(priced)
    without = usages.bill == NULL
    if without.all():
        return Bills(rows, np.arange(len(rows) + 1), True, threads)
    # A row without a number is a bill by itself: numbers that nobody gives.
    bill = np.where(without, NULL + 1 + np.arange(len(usages)), usages.bill) if without.any() else usages.bill
    whole = len(rows) == len(usages)
    account, bill, sequence = (c if whole else c[rows] for c in (usages.account, bill, usages.sequence))
    order, new, twice = order_rows(account, bill, sequence, threads)
    if twice >= 0:
        raise ValueError(f"bill {bill[twice]} of account {account[twice]} has a sequence twice")
    begins = np.append(np.flatnonzero(new), len(order))
    return Bills(order if whole else rows[order], begins, len(begins) == len(order) + 1, threads)


@dataclass(frozen=True)
class Amounts:
    """Fen of a batch: ``components`` (rows, components) and their sum ``gross`` (rows,), ``totals`` per bill."""

    components: Ints
    gross: Ints
    totals: Ints

    def add_last(self, bills: Bills, column: int, fen: Ints) -> None:
        """Put an amount per bill on its last row."""
        self.components[bills.last, column] += fen
        self.gross[bills.last] += fen
        self.totals[:] += fen


def round_bills(program: UtilityProgram, exact: Ints, components: Ints, bills: Bills) -> Amounts:
    """Fen of exact amounts in 1/(10 × price_scale) fen, added to ``components``; both int64 (rows, components).

    Each component is rounded once per bill: a row gets what it adds to the rounded bill.
    """
    amounts = Amounts(components, np.zeros(len(exact), np.int64), np.zeros(len(bills.begins) - 1, np.int64))
    roundings = np.array([KERNEL_ROUNDING[mode] for mode in program.roundings], np.int64)
    divisor = 10 * program.price_scale

    def walk(first: int, last: int) -> None:
        kernels.round_bills(
            bills.order,
            bills.begins,
            first,
            last,
            exact,
            divisor,
            roundings,
            components,
            amounts.gross,
            amounts.totals,
        )

    over_runs(bills.begins, walk, bills.threads)
    return amounts


def close_bills(program: UtilityProgram, usages: UtilityUsages, bills: Bills, amounts: Amounts) -> None:
    """What is due once per bill, on its last row: what it lacks to the minimum, then the late fee."""
    minimum, fee = program.minimum, program.late_fee
    if minimum is not None:
        needed = program.minimum_for.of(usages.take(bills.last)) >= 0
        lacking = np.where(needed, np.maximum(minimum.amount - amounts.totals, 0), 0)
        amounts.add_last(bills, program.column(minimum.component), lacking)
    if fee is not None:
        # Beyond the days after which the bill has doubled, more of them change nothing.
        overdue = np.minimum(bills.running(usages.days_overdue)[2][bills.last], RATIO_ONE)
        total = amounts.totals
        due = divide(total * (overdue * fee.per_day_per_10000), RATIO_ONE, fee.rounding)
        due = np.where((overdue > 0) & (total > 0), np.maximum(due, fee.at_least), 0)
        amounts.add_last(bills, program.column(fee.component), np.minimum(due, total))


def sum_bills(prices: UtilityPrices, key: Ints) -> UtilityBills:
    """Put priced rows together: by bill, or several accounts' bills into one payment.

    ``key`` int64 (rows,) names the bill or payment of each row. Every amount is already rounded, so the sums
    are what is paid. A sum with an unpriced row is marked, for it is not the whole bill.
    """
    keys, of_row, rows = np.unique(key, return_inverse=True, return_counts=True)
    components = np.zeros((len(keys), prices.components.shape[1]), np.int64)
    np.add.at(components, of_row, prices.components)
    unpriced = np.zeros(len(keys), np.int64)
    np.add.at(unpriced, of_row, (~prices.priced).astype(np.int64))
    return UtilityBills(
        key=keys.astype(np.int64),
        gross=components.sum(axis=1),
        components=components,
        rows=rows.astype(np.int64),
        priced=unpriced == 0,
    )
