"""Usage, its prices, and the counters of an account's periods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from tariffs.columns import NULL, Bools, Codes, Column, Columns, Days, Ints

_LEFT_OUT = np.empty(0, np.int64)


def _left_out() -> Ints:
    return _LEFT_OUT


@dataclass(frozen=True, eq=False)
class UtilityUsages(Columns):
    """One reading of one account per row: a meter reading, an interval of one, a register of one, a purchase.

    Rows with the same ``account`` and ``bill`` make up one bill and must come in one batch: fixed and minimum
    charges fall due once for it and its components are rounded once. A row without ``bill`` is a bill by itself.
    """

    account: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    """Reading order within an account; unique per account in a batch."""
    period_day: Annotated[Days, Column(np.int32)]
    """Day that decides the tariff period (year, month) the usage counts to."""
    usage_milli: Annotated[Ints, Column(np.int64)]
    """Thousandths of the unit: litres of m³, Wh of kWh; of m² for fees by area."""
    household: Annotated[Ints, Column(np.int64, 1)]
    """Registered persons of the household."""
    bill: Annotated[Ints, Column(np.int64, NULL)]
    """Number of the bill within the account."""
    minute: Annotated[Ints, Column(np.int64, NULL)]
    """Minute of the day, 0 to 1439, at which the interval begins; NULL for readings over whole days."""
    register: Annotated[Ints, Column(np.int64, NULL)]
    """Register of the meter the usage was read from; NULL = the schedule decides by day and minute."""
    days: Annotated[Ints, Column(np.int64, 0)]
    """Days of supply the row bills; give the days of a bill on one of its rows."""
    customer_class: Annotated[Ints, Column(np.int64, 0)]
    meter_size: Annotated[Ints, Column(np.int64, 0)]
    allowance_milli: Annotated[Ints, Column(np.int64, 0)]
    """Usage granted to this site for the bill beside the allowance per person, thousandths of the unit."""
    demand_milli: Annotated[Ints, Column(np.int64, 0)]
    """Highest power in the interval of the row, W."""
    days_overdue: Annotated[Ints, Column(np.int64, 0)]
    """Days from the due date to the payment of the bill."""
    purchase: Annotated[Ints, Column(np.int64, 0)]
    """Fen paid into a prepaid meter; the usage of such a row is computed."""


@dataclass(frozen=True, eq=False)
class UtilityPrices(Columns):
    """Answer per usage row; gross is the sum of the row of ``components``, all in fen.

    Rows of one bill add up to the bill; what is due once per bill stands on its first row (fixed charges) or
    its last (minimum charge, late fee).
    """

    gross: Annotated[Ints, Column(np.int64)]
    components: Annotated[Ints, Column(np.int64)]
    """Shape (rows, components), in the order of ``compiled.component_names``."""
    usage_milli: Annotated[Ints, Column(np.int64)]
    """Usage the row was priced for; for a purchase, what it bought."""
    rule: Annotated[Codes, Column(np.uint16)]
    """The tier in which the cumulated usage ends."""
    segment: Annotated[Codes, Column(np.uint16)]
    priced: Annotated[Bools, Column(np.bool_)]


@dataclass(frozen=True, eq=False)
class UtilityState(Columns):
    """Counters of an account in a tariff period; one row per (account, year, register), sorted.

    Columns after ``usage_milli`` may be left out; they are zeros then.
    """

    account: Annotated[Ints, Column(np.int64)]
    year: Annotated[Ints, Column(np.int64)]
    """The period: 2026 for a year, 202603 for a month or the first of two, 20260301 for a day or the first day
    of a prorated piece of a year."""
    usage_milli: Annotated[Ints, Column(np.int64)]
    """Cumulated usage."""
    register: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """0 for the counters of usage, 1 and up for the demand charges in the order of the file."""
    peak_milli: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """Highest demand so far, W."""
    days: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """Days of the period billed so far."""
    extra_person_days: Annotated[Ints, Column(np.int64, 0)] = field(default_factory=_left_out)
    """Σ over billed days of the persons above the base of the household."""

    def __post_init__(self) -> None:
        """Fill columns left out, then check as every record does."""
        for name, spec in self.SPECS.items():
            if getattr(self, name) is _LEFT_OUT:
                object.__setattr__(self, name, np.zeros(len(self), spec.dtype))
        super().__post_init__()


@dataclass(frozen=True, eq=False)
class UtilityBills(Columns):
    """One bill or one payment of several bills per row, sorted by ``key``; money in fen."""

    key: Annotated[Ints, Column(np.int64)]
    gross: Annotated[Ints, Column(np.int64)]
    components: Annotated[Ints, Column(np.int64)]
    """Shape (rows, components), as in the prices summed."""
    rows: Annotated[Ints, Column(np.int64)]
    """Rows that were summed."""
    priced: Annotated[Bools, Column(np.bool_)]
    """False when a row of it has no price: the sum is then not the bill."""
