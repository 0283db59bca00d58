"""Bills: which rows make one up, amounts rounded once per bill, what falls due once, and sums for payment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.rounding import RATIO_ONE, RoundingMode, divide
from tariffs.utility.columns import UtilityBills, UtilityPrices, UtilityUsages
from tariffs.utility.steps import LateFee, Minimum


@dataclass(frozen=True)
class Bills:
    """The bills of a batch, B of them.

    ``order`` int64 (rows,) lists rows by bill and sequence; ``of_row`` int64 (rows,); ``first`` and ``last``
    int64 (B,) are row numbers; ``begins`` int64 (B,) are places within ``order``.
    """

    order: Ints
    of_row: Ints
    begins: Ints
    first: Ints
    last: Ints

    def sums(self, amounts: Ints) -> Ints:
        """Sum per bill of a column, int64 (B,)."""
        total = np.zeros(len(self.begins), np.int64)
        np.add.at(total, self.of_row, amounts)
        return total

    def highest(self, amounts: Ints) -> Ints:
        """Largest of a column (≥ 0) per bill, int64 (B,)."""
        highest = np.zeros(len(self.begins), np.int64)
        np.maximum.at(highest, self.of_row, amounts)
        return highest

    def running(self, amounts: Ints) -> Ints:
        """Sum of each row and those before it in its bill; same shape as ``amounts`` (rows, ...)."""
        if len(self.begins) == len(self.order):
            return amounts
        in_order = amounts[self.order]
        running = np.cumsum(in_order, axis=0)
        earlier = (running - in_order)[self.begins]
        result = np.empty_like(running)
        result[self.order] = running - earlier[self.of_row[self.order]]
        return result


def group_bills(usages: UtilityUsages) -> Bills:
    """Put the rows of a batch together into bills; a row without a bill number is one.

    Raises ValueError when two rows of one bill have the same sequence.
    """
    count = len(usages)
    if not (usages.bill != NULL).any():
        rows = np.arange(count)
        return Bills(rows, rows, rows, rows, rows)
    order = np.lexsort((usages.sequence, usages.bill, usages.account))
    account, bill = usages.account[order], usages.bill[order]
    new = np.ones(count, np.bool_)
    new[1:] = (np.diff(account) != 0) | (np.diff(bill) != 0) | (bill[1:] == NULL)
    same = ~new[1:] & (np.diff(usages.sequence[order]) == 0)
    if same.any():
        row = int(order[1:][same][0])
        raise ValueError(f"bill {usages.bill[row]} of account {usages.account[row]} has a sequence twice")
    begins = np.flatnonzero(new)
    of_row = np.empty(count, np.int64)
    of_row[order] = np.cumsum(new) - 1
    ends = np.append(begins[1:], count) - 1
    return Bills(order, of_row, begins, order[begins], order[ends])


def round_bills(exact: Ints, divisor: int, roundings: Sequence[RoundingMode], bills: Bills) -> Ints:
    """Fen per row and component of exact amounts in 1/divisor fen, int64 (rows, components).

    Each component is rounded once per bill: a row gets what it adds to the rounded bill.
    """
    after = bills.running(exact)
    alone = after is exact
    fen = np.empty_like(exact)
    for column, mode in enumerate(roundings):
        fen[:, column] = divide(after[:, column], divisor, mode)
        if not alone:
            fen[:, column] -= divide(after[:, column] - exact[:, column], divisor, mode)
    return fen


def top_up(minimum: Minimum, column: int, components: Ints, bills: Bills, needed: Bools) -> None:
    """Add what bills lack to the minimum, on their last rows if it is ``needed`` (bool per row) there."""
    total = bills.sums(components.sum(axis=1))
    components[bills.last, column] += np.where(needed[bills.last], np.maximum(minimum.amount - total, 0), 0)


def add_late_fees(fee: LateFee, column: int, components: Ints, bills: Bills, days_overdue: Ints) -> None:
    """Add the late fee of each bill on its last row: days × rate of the whole bill, at most the bill."""
    total = bills.sums(components.sum(axis=1))
    # Beyond the days after which the bill has doubled, more of them change nothing.
    overdue = np.minimum(bills.highest(days_overdue), RATIO_ONE)
    due = divide(total * (overdue * fee.per_day_per_10000), RATIO_ONE, fee.rounding)
    due = np.where((overdue > 0) & (total > 0), np.maximum(due, fee.at_least), 0)
    components[bills.last, column] += np.minimum(due, total)


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
