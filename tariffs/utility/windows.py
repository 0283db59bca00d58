"""Times of use: which hours of which days of which months a price or a demand charge holds in.

As in the schedules of the OpenEI rate database (12 months × 24 hours, weekday and weekend), in half hours, and
with a calendar of holidays, which count as weekend, and of weekend days worked (调休), which count as weekday.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tariffs.columns import Bools, Days, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Strict

_HALF_HOURS = 48
SLOTS = 12 * 2 * _HALF_HOURS
"""Half hours of a weekday and of a weekend day in each month."""

Clock = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[03]0|24:00)$")]
Month = Annotated[int, Field(strict=True, ge=1, le=12)]
Day = Annotated[date, Field(strict=True)]


class Calendar(Strict):
    """Days that are not what their weekday says; dated lists go under ``values``."""

    holidays: list[Day] = Field(default_factory=list)
    working_days: list[Day] = Field(default_factory=list)


class Window(Strict):
    """From ``start_time`` up to ``end_time`` (exclusive) on the named days of the named months."""

    months: Annotated[list[Month], Field(min_length=1)] = Field(default_factory=lambda: list(range(1, 13)))
    days: Literal["all", "weekday", "weekend"] = "all"
    start_time: Clock = "00:00"
    end_time: Clock = "24:00"


@dataclass(frozen=True)
class DayTypes:
    """Compiled calendar: sorted int32 day numbers since 1970."""

    holidays: Days
    working_days: Days

    def slots(self, days: Days, minutes: Ints) -> Ints:
        """Half hour of each row, int64 in 0..SLOTS − 1; −1 where the minute is not one of a day."""
        month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        # Day 0 was a Thursday.
        weekend = (days.astype(np.int64) + 3) % 7 >= 5
        weekend = (weekend | np.isin(days, self.holidays)) & ~np.isin(days, self.working_days)
        known = (minutes >= 0) & (minutes < 24 * 60)
        half_hour = np.where(known, minutes, 0) // 30
        return np.where(known, (month * 2 + weekend) * _HALF_HOURS + half_hour, -1)


def compile_calendar(calendar: Calendar | None) -> DayTypes:
    """Day numbers of the calendar; ParameterError for a day that is in both lists."""
    given = calendar or Calendar()
    if both := set(given.holidays) & set(given.working_days):
        raise ParameterError("calendar.working_days", str(min(both)), "it is a holiday too: drop it from one list")
    return DayTypes(_numbers(given.holidays), _numbers(given.working_days))


def compile_windows(windows: Sequence[Window], path: str) -> Bools:
    """Which half hours any of the windows holds in, bool of shape (SLOTS,).

    Raises ParameterError for a window that ends before it begins.
    """
    table = np.zeros((12, 2, _HALF_HOURS), np.bool_)
    types = {"all": slice(None), "weekday": slice(0, 1), "weekend": slice(1, 2)}
    for index, window in enumerate(windows):
        start, end = _half_hour(window.start_time), _half_hour(window.end_time)
        if start >= end:
            remedy = "a window ends after it begins: write two when it crosses midnight"
            raise ParameterError(f"{path}[{index}].end_time", window.end_time, remedy)
        for month in window.months:
            table[month - 1, types[window.days], start:end] = True
    return table.reshape(SLOTS)


def describe_slot(slot: int) -> str:
    """A half hour in words, for messages."""
    month, rest = divmod(slot, 2 * _HALF_HOURS)
    weekend, half_hour = divmod(rest, _HALF_HOURS)
    day = "weekend" if weekend else "weekday"
    return f"month {month + 1}, {day}, {half_hour // 2:02d}:{half_hour % 2 * 30:02d}"


def _half_hour(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 2 + int(minutes) // 30


def _numbers(days: Sequence[date]) -> npt.NDArray[np.int32]:
    return np.array(sorted((day - date(1970, 1, 1)).days for day in days), np.int32)
