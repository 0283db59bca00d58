"""Late and withdrawn readings: which of them count, on which day, and whose amounts stand, by the tariff's policy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tariffs.columns import NULL, Bools, Days, Ints
from tariffs.tariff import Tariff
from tariffs.utility.columns import UtilityUsages

NEVER = int(np.iinfo(np.int32).max)
"""Day of withdrawal of a reading that was not withdrawn."""


@dataclass(frozen=True)
class UtilityStanding:
    """What becomes of readings by their late policy; all arrays as long as ``usages``.

    ``counts``: the counters of its account count the row. ``pays``: its amounts stand; a row may count and yet be
    given back. ``counted_day``: the day whose prices and tariff period hold for it.
    """

    usages: UtilityUsages
    counts: Bools
    pays: Bools
    counted_day: Days

    @classmethod
    def of(cls, usages: UtilityUsages) -> UtilityStanding:
        """Readings that all came in time."""
        every = np.ones(len(usages), np.bool_)
        return cls(usages, every, every, usages.period_day)

    def take(self, rows: Bools) -> UtilityStanding:
        """Those of some rows."""
        usages = self.usages.take(rows)
        return UtilityStanding(usages, self.counts[rows], self.pays[rows], self.counted_day[rows])

    def counted(self) -> UtilityUsages:
        """The rows that count, each on its day, numbered anew by (day, sequence) within their accounts."""
        usages, day = self.usages.take(self.counts), self.counted_day[self.counts]
        order = np.lexsort((usages.sequence, day, usages.account))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return replace(usages, period_day=day, sequence=rank)


def standing(tariff: Tariff, usages: UtilityUsages, received_day: Days, withdrawn_day: Days) -> UtilityStanding:
    """Apply ``tariff.late`` to readings and withdrawals by the days (since 1970) on which they were received.

    A bill is received when the last of its rows is, and withdrawn as a whole when any of its rows is. Within
    ``grace_days`` of its last day a bill counts where it belongs, and a withdrawal removes it as if it had never
    been sent. After the grace ``reprice`` does the same; ``forward`` counts the bill on the day it was received, at
    the prices and in the tariff period of that day, and a withdrawal gives back the bill's own amount only;
    ``reject`` drops the bill, and ignores the withdrawal. ``withdrawn_day`` is :data:`NEVER` for readings that
    stand. A pure function of its arguments: when it is asked does not matter.
    """
    bill = _bill_numbers(usages)
    last_in_time = _most(bill, usages.period_day) + tariff.late.grace_days
    received = _most(bill, received_day)
    withdrawn_on = -_most(bill, -withdrawn_day)
    sent_late = received > last_in_time
    withdrawn = withdrawn_on != NEVER
    withdrawn_late = withdrawn & (withdrawn_on > last_in_time)
    if tariff.late.after_grace == "reprice":
        return UtilityStanding(usages, ~withdrawn, ~withdrawn, usages.period_day)
    if tariff.late.after_grace == "reject":
        stands = ~sent_late & (~withdrawn | withdrawn_late)
        return UtilityStanding(usages, stands, stands, usages.period_day)
    counted_day = np.where(sent_late, received, usages.period_day).astype(np.int32)
    return UtilityStanding(usages, ~withdrawn | withdrawn_late, ~withdrawn, counted_day)


def _bill_numbers(usages: UtilityUsages) -> Ints:
    """Number of the bill of each row, a row without one being a bill by itself; int64."""
    own = np.where(usages.bill == NULL, usages.sequence, usages.bill)
    columns = np.stack([usages.account, (usages.bill == NULL).astype(np.int64), own], axis=1)
    return np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)


def _most(bill: Ints, days: Days) -> Days:
    """Greatest of the days of each row's bill."""
    most: Days = np.full(int(bill.max()) + 1 if len(bill) else 0, np.iinfo(np.int32).min, np.int32)
    np.maximum.at(most, bill, days)
    return most.take(bill)
