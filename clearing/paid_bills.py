"""Paid utility bills as a tariff reads them: accounts, periods, registers, and what a bill lacks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns
from clearing.calendar import NO_DAY
from clearing.pricing import Asked, PriceBook, asked_by, rebill, segments_of, trace_bill
from clearing.recomputed import Found, Lacking, StepsTaken

Ints = npt.NDArray[np.int64]

REGISTERS: Final = ("usage_register_1", "usage_register_2", "usage_register_3", "usage_register_4")
COMPARED: Final = ("bill_amount", "usage")

_COLUMN_OF: Final[Mapping[str, str]] = {
    "household": "household_size",
    "days": "days",
    "customer_class": "customer_class",
    "meter_size": "meter_size",
    "allowance_milli": "allowance",
    "demand_milli": "demand",
    "days_overdue": "days_overdue",
}
"""Column of a usage as tariffs name it → column of the bill."""

_ONCE: Final = frozenset({"days", "demand_milli"})
"""Said once for a bill, on its first reading."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The bills of one utility as readings: one per bill, or one per register where the tariff reads registers."""

    bills: Columns
    usages: Columns
    of_bill: Ints
    """Bill of each reading; a bill's readings lie side by side."""
    lacking: Lacking
    asked: list[Asked]
    segment: Ints


def readings_of(bills: Columns, book: PriceBook, tariff_id: str) -> Readings:
    """Read bills of ``settlement/utility_years.sql``, whole years of accounts of one utility by period.

    A bill of a prepaid meter that is to be judged is its purchase; earlier ones count with the usage they were for.
    """
    day = first_days(bills["period"])
    asked, segment = asked_by(book, tariff_id), segments_of(book, tariff_id, day)
    count = len(day)
    lacking, by_register = Lacking.of(count), np.zeros(count, np.bool_)
    lacking.note(day == NO_DAY, "period")
    buys = np.array([each.buys_usage for each in asked] + [False])[segment]
    for index, each in enumerate(asked):
        here = segment == index
        for name in sorted(each.columns & _COLUMN_OF.keys()):
            lacking.note(here & (bills[_COLUMN_OF[name]] == NULL), _COLUMN_OF[name])
        if "minute" in each.columns:
            lacking.note(here, "minute")
        if "register" in each.columns:
            by_register |= here
    parts = np.stack([np.where(bills[name] == NULL, 0, bills[name]) for name in REGISTERS])
    lacking.note(by_register & (parts.sum(axis=0) != bills["usage"]), "usage_register")
    given = np.stack([bills[name] != NULL for name in REGISTERS])
    place, of_bill = _readings(given, by_register & ~lacking.rows)
    first = np.ones(len(of_bill), np.bool_)
    first[1:] = np.diff(of_bill) != 0
    purchase = buys & (bills["judged"] == 1)
    usages = {
        "account": bills["account"][of_bill],
        "sequence": of_bill * (len(REGISTERS) + 1) + place,
        "period_day": day[of_bill],
        "bill": of_bill,
        "usage_milli": np.where(place > 0, parts[np.maximum(place, 1) - 1, of_bill], bills["usage"][of_bill]),
        "register": np.where(place > 0, place, NULL),
        "purchase": np.where(purchase, bills["bill_amount"], 0)[of_bill],
    }
    usages["usage_milli"] = np.where(purchase[of_bill], 0, usages["usage_milli"])
    for name, column in _COLUMN_OF.items():
        values = np.where(bills[column] == NULL, 1 if name == "household" else 0, bills[column])[of_bill]
        usages[name] = np.where(first, values, 0) if name in _ONCE else values
    return Readings(bills, usages, of_bill, lacking, asked, segment)


def _readings(given: npt.NDArray[np.bool_], by_register: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """(register or 0, bill) of each reading: every register a bill gives, or the bill as a whole."""
    whole = ~by_register | ~given.any(axis=0)
    table = np.vstack([whole, given & ~whole])
    bill, place = np.nonzero(table.T)
    return place.astype(np.int64), bill.astype(np.int64)


def recompute_bills(bills: Columns, book: PriceBook, tariff_id: str) -> Found:
    """What the tariff says of each bill; bills as in :func:`readings_of`."""
    read = readings_of(bills, book, tariff_id)
    answer = rebill(book, tariff_id, read.usages, ~read.lacking.rows[read.of_bill])
    begins = np.flatnonzero(np.diff(read.of_bill, prepend=-1))
    ends = np.append(begins[1:], len(read.of_bill)) - 1
    priced = np.logical_and.reduceat(answer.priced, begins) if len(begins) else answer.priced
    sound = np.logical_and.reduceat(answer.sound, begins) if len(begins) else answer.sound
    lacking = read.lacking.with_segments(read.segment, priced, sound)
    buys = np.array([each.buys_usage for each in read.asked] + [False])[read.segment]

    def summed(column: Ints) -> Ints:
        return np.add.reduceat(column, begins) if len(begins) else column

    amounts = {
        "bill_amount": np.where(buys, bills["bill_amount"], summed(answer.amounts["gross"])),
        "usage": np.where(buys, summed(answer.amounts["usage_milli"]), bills["usage"]),
    }
    return Found(amounts, answer.rule[ends], lacking)


def bill_steps(bills: Columns, book: PriceBook, tariff_id: str, bill: int) -> StepsTaken:
    """How the tariff prices one of the bills, step by step; nothing where it cannot, with the reason."""
    found = recompute_bills(bills, book, tariff_id)
    own = bills["account"] == bills["account"][bill]
    at = int(np.count_nonzero(own[:bill]))
    read = readings_of({name: column[own] for name, column in bills.items()}, book, tariff_id)
    steps: tuple[Any, ...] = ()
    if not found.lacking.rows[bill]:
        rows = np.flatnonzero(read.of_bill == at)
        steps = trace_bill(book, tariff_id, read.usages, ~read.lacking.rows[read.of_bill], rows)
    return StepsTaken(tariff_id, int(read.segment[at]), str(found.rule[bill]), steps, found.lacking.reason_of(bill))


def first_days(period: Ints) -> npt.NDArray[np.int32]:
    """First day of each YYYYMM; :data:`NO_DAY` where it is no month of the calendar."""
    year, month = period // 100, period % 100
    possible = (year >= 1970) & (year <= 9999) & (month >= 1) & (month <= 12)
    months = np.where(possible, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64)
    return np.where(possible, days, NO_DAY).astype(np.int32)
