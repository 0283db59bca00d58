"""Kinds of days: workdays, weekends, holidays and the weekend days worked instead (调休).

A calendar is a closed list of years: about a day in a year it does not list nothing is known, not even that a
Monday is a workday.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Codes, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Strict
from tariffs.schema import Day

_EPOCH = date(1970, 1, 1)
_EPOCH_WEEKDAY = _EPOCH.weekday()
_SATURDAY = 5

DayName = Literal["workday", "weekend", "holiday", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
KINDS: tuple[DayName, ...] = ("workday", "weekend", "holiday")
"""What only a calendar can say of a day."""
WEEKDAYS: tuple[DayName, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BIT_OF_DAY: dict[str, int] = {name: 1 << bit for bit, name in enumerate((*KINDS, *WEEKDAYS))}
KIND_BITS = BIT_OF_DAY["workday"] | BIT_OF_DAY["weekend"] | BIT_OF_DAY["holiday"]
_WEEKDAY_BITS = np.array([BIT_OF_DAY[name] for name in WEEKDAYS], np.uint16)


class CalendarYear(Strict):
    """What a year's official notice says: holidays, and Saturdays or Sundays that are worked instead."""

    holidays: list[Day]
    workdays: list[Day]


Calendar = Annotated[dict[Annotated[int, Field(strict=True, ge=1970, le=2200)], CalendarYear], Field(min_length=1)]
"""Year → notice. Other days of a listed year are workdays from Monday to Friday and weekend otherwise."""


@dataclass(frozen=True)
class DayTable:
    """Compiled calendar: ``bits`` uint16, one cell per day from ``first``, by :data:`BIT_OF_DAY`.

    The first and last cell are 0 and stand for all days outside the calendar.
    """

    first: int
    bits: Codes

    def of(self, day: Ints) -> Codes:
        """Bits of each day (since 1970), 0 where nobody knows; uint16."""
        found: Codes = self.bits.take(day - self.first, mode="clip")
        return found


NO_CALENDAR = DayTable(0, np.zeros(1, np.uint16))
"""Knows of no day."""


def weekday_bits(day: Ints) -> Codes:
    """Bit of the weekday of each day (since 1970), uint16; needs no calendar."""
    return _WEEKDAY_BITS.take((day + _EPOCH_WEEKDAY) % 7)


def bits_of(names: Iterable[DayName] | None) -> int:
    """Bits of the named days, 0 for None: every day."""
    bits = 0
    for name in names or ():
        bits |= BIT_OF_DAY[name]
    return bits


def compile_calendar(calendar: Calendar | None, used: Iterable[DayName]) -> DayTable:
    """The table of a calendar; ParameterError where it contradicts itself or the day names ``used`` with it.

    Kinds of days need a calendar, and a calendar that no kind asks for is refused: it would look as if it counted.
    """
    kinds = set(used) & set(KINDS)
    if calendar is None:
        if kinds:
            raise ParameterError("calendar", None, f"give the calendar that says which day is a {min(kinds)}")
        return NO_CALENDAR
    if not kinds:
        raise ParameterError("calendar", sorted(calendar), "no window asks for it: drop it")
    begin, end = date(min(calendar), 1, 1), date(max(calendar) + 1, 1, 1)
    table = np.zeros((end - begin).days + 2, np.uint16)
    for year, notice in calendar.items():
        _check_year(year, notice)
        day = date(year, 1, 1)
        while day.year == year:
            weekend = day.weekday() >= _SATURDAY and day not in notice.workdays
            kind = "holiday" if day in notice.holidays else "weekend" if weekend else "workday"
            table[(day - begin).days + 1] = BIT_OF_DAY[kind] | BIT_OF_DAY[WEEKDAYS[day.weekday()]]
            day += timedelta(days=1)
    return DayTable((begin - _EPOCH).days - 1, table)


def _check_year(year: int, notice: CalendarYear) -> None:
    for part in ("holidays", "workdays"):
        place = f"calendar[{year}].{part}"
        for day in getattr(notice, part):
            if day.year != year:
                raise ParameterError(place, day, f"list it under {day.year}")
    for day in notice.workdays:
        place = f"calendar[{year}].workdays"
        if day in notice.holidays:
            raise ParameterError(place, day, "it stands among the holidays too")
        if day.weekday() < _SATURDAY:
            raise ParameterError(place, day, "only Saturdays and Sundays are named: this is a workday anyway")
