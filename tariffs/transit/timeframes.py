"""Times of day on kinds of days: peak hours and nights, on workdays or holidays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.calendars import KIND_BITS, Calendar, DayName, DayTable, bits_of, compile_calendar, weekday_bits
from tariffs.columns import Bools, Codes, Ints
from tariffs.parameters import Strict

DAY_SECONDS = 86_400

TimeOfDay = Annotated[str, Field(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?$|^24:00$")]


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
        used = [day for window in self.windows for day in window.days or ()]
        days = compile_calendar(self.calendar, used)
        return CompiledTimeframe(self.at, days, tuple(_compile_window(w) for w in self.windows))


@dataclass(frozen=True)
class CompiledWindow:
    """Seconds of the day ``start`` ≤ t < ``end``; ``overnight``: t ≥ start or t < end. ``days`` 0 = every day."""

    start: int
    end: int
    overnight: bool
    days: int


@dataclass(frozen=True)
class CompiledTimeframe:
    """Compiled :class:`Timeframe`."""

    at: Literal["entry", "exit"]
    days: DayTable
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
            bits = self._bits(began, by_calendar=bool(window.days & KIND_BITS))
            holds |= inside & ((bits & np.uint16(window.days)) != 0)
            undecided |= inside & (bits == 0)
        undecided &= ~holds
        return holds, undecided

    def _bits(self, day: Ints, *, by_calendar: bool) -> Codes:
        return self.days.of(day) if by_calendar else weekday_bits(day)


def seconds_of_day(time: str) -> int:
    """Seconds since midnight of a checked ``hh:mm`` or ``hh:mm:ss``."""
    parts = [int(part) for part in time.split(":")]
    return sum(part * weight for part, weight in zip(parts, (3_600, 60, 1), strict=False))


def _compile_window(window: Window) -> CompiledWindow:
    start, end = seconds_of_day(window.start), seconds_of_day(window.end)
    return CompiledWindow(start, end, end <= start, bits_of(window.days))
