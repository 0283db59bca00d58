"""Times of day on kinds of days: peak hours, nights, workdays, holidays and the make-up workdays (调休).

A calendar is a closed list of years: about a day in a year it does not list nothing is known, not even that a
Monday is a workday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Codes, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Strict
from tariffs.schema import Day

DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1)
_EPOCH_WEEKDAY = _EPOCH.weekday()

TimeOfDay = Annotated[str, Field(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$|^24:00$")]
DayKind = Literal["workday", "weekend", "holiday"]
DayName = Literal["workday", "weekend", "holiday", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_BIT_OF_DAY: dict[str, int] = {
    name: 1 << bit
    for bit, name in enumerate(("workday", "weekend", "holiday", "mon", "tue", "wed", "thu", "fri", "sat", "sun"))
}
_KINDS = _BIT_OF_DAY["workday"] | _BIT_OF_DAY["weekend"] | _BIT_OF_DAY["holiday"]
_WEEKDAYS = tuple(_BIT_OF_DAY[name] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
_SATURDAY = 5


class CalendarYear(Strict):
    """What a year's official notice says: holidays, and Saturdays or Sundays that are worked instead."""

    holidays: list[Day]
    workdays: list[Day]


Calendar = Annotated[dict[Annotated[int, Field(strict=True, ge=1970, le=2200)], CalendarYear], Field(min_length=1)]
"""Year → notice. Other days of a listed year are workdays from Monday to Friday and weekend otherwise."""


class Window(Strict):
    """From a time up to, not including, another; past midnight when ``before`` is not after ``from``.

    What lies past midnight belongs to the day on which the window began. ``days`` absent means every day.
    """

    days: Annotated[list[DayName], Field(min_length=1)] | None = None
    start: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="before")]


class Timeframe(Strict):
    """Entry or exit falls into one of the windows; a journey without that time falls into none."""

    at: Literal["entry", "exit"]
    calendar: Calendar | None = None
    windows: Annotated[list[Window], Field(min_length=1)]

    def compile(self) -> CompiledTimeframe:
        """Turn dates into a table of days; ParameterError for a date that contradicts its year or itself."""
        first = 0
        table: Codes = np.empty(0, np.uint16)
        if self.calendar is not None:
            first, table = _day_table(self.calendar)
        used = {day for window in self.windows for day in window.days or ()}
        kinds = used & {"workday", "weekend", "holiday"}
        if kinds and self.calendar is None:
            raise ParameterError("calendar", None, f"give the calendar that says which day is a {min(kinds)}")
        if self.calendar is not None and not kinds:
            raise ParameterError("calendar", sorted(self.calendar), "no window asks for it: drop it")
        return CompiledTimeframe(self.at, first, table, tuple(_compile_window(w) for w in self.windows))


@dataclass(frozen=True)
class CompiledWindow:
    """Seconds of the day ``start`` ≤ t < ``end``; ``overnight``: t ≥ start or t < end. ``days`` 0 = every day."""

    start: int
    end: int
    overnight: bool
    days: int


@dataclass(frozen=True)
class CompiledTimeframe:
    """Compiled :class:`Timeframe`: ``table`` is uint16, one cell per day from ``first``, bits by day name."""

    at: Literal["entry", "exit"]
    first: int
    table: Codes
    windows: tuple[CompiledWindow, ...]

    def of(self, time: Ints) -> tuple[Bools, Bools]:
        """Which of ``time`` (int64 local seconds, NULL allowed) fall into a window; for which nobody knows."""
        known = time >= 0
        day = np.where(known, time, 0) // DAY_SECONDS
        second = np.where(known, time, 0) - day * DAY_SECONDS
        holds, undecided = np.zeros(len(time), np.bool_), np.zeros(len(time), np.bool_)
        for window in self.windows:
            inside = known.copy()
            began = day
            if window.overnight:
                after_midnight = second < window.end
                inside &= (second >= window.start) | after_midnight
                began = day - after_midnight
            else:
                inside &= (second >= window.start) & (second < window.end)
            if not window.days:
                holds |= inside
                continue
            bits = self._bits(began, by_calendar=bool(window.days & _KINDS))
            holds |= inside & ((bits & np.uint16(window.days)) != 0)
            undecided |= inside & (bits == 0)
        undecided &= ~holds
        return holds, undecided

    def _bits(self, day: Ints, *, by_calendar: bool) -> Codes:
        if not by_calendar:
            weekdays = np.array(_WEEKDAYS, np.uint16)
            return weekdays.take((day + _EPOCH_WEEKDAY) % 7)
        # The first and last cell stand for all days outside the calendar.
        bits: Codes = self.table.take(day - self.first, mode="clip")
        return bits


def seconds_of_day(time: str) -> int:
    """Seconds since midnight of a checked ``hh:mm`` or ``hh:mm:ss``."""
    parts = [int(part) for part in time.split(":")]
    return sum(part * weight for part, weight in zip(parts, (3_600, 60, 1), strict=False))


def _compile_window(window: Window) -> CompiledWindow:
    start, end = seconds_of_day(window.start), seconds_of_day(window.end)
    days = 0
    for name in window.days or ():
        days |= _BIT_OF_DAY[name]
    return CompiledWindow(start, end, end <= start, days)


def _day_table(calendar: Calendar) -> tuple[int, Codes]:
    """Day number of the first cell, and the bits of each day; 0 in both end cells and in years not listed."""
    begin, end = date(min(calendar), 1, 1), date(max(calendar) + 1, 1, 1)
    table = np.zeros((end - begin).days + 2, np.uint16)
    for year, notice in calendar.items():
        _check_year(year, notice)
        day = date(year, 1, 1)
        while day.year == year:
            weekend = day.weekday() >= _SATURDAY and day not in notice.workdays
            kind = "holiday" if day in notice.holidays else "weekend" if weekend else "workday"
            table[(day - begin).days + 1] = _BIT_OF_DAY[kind] | _WEEKDAYS[day.weekday()]
            day += timedelta(days=1)
    return (begin - _EPOCH).days - 1, table


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
