"""Times of use: which hours of which days of which months a price or a demand charge holds in.

As in the schedules of the OpenEI rate database (12 months × 24 hours by kind of day), in half hours, with the days
of :mod:`tariffs.calendars`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from tariffs.calendars import (
    BIT_OF_DAY,
    KIND_BITS,
    KINDS,
    NO_CALENDAR,
    WEEKDAYS,
    Calendar,
    DayName,
    DayTable,
    bits_of,
    compile_calendar,
    weekday_bits,
)
from tariffs.columns import Bools, Days, Ints
from tariffs.errors import ParameterError
from tariffs.owners import by_day
from tariffs.parameters import Strict

_HALF_HOURS = 48
_TYPES = [(kind, weekday) for kind in KINDS for weekday in WEEKDAYS]
"""Types of days: what a calendar says and the weekday."""
SLOTS = 12 * len(_TYPES) * _HALF_HOURS
"""Half hours of each type of day in each month."""
_IMPOSSIBLE = np.array([kind == "weekend" and weekday not in ("sat", "sun") for kind, weekday in _TYPES])
POSSIBLE: Bools = np.repeat(np.tile(~_IMPOSSIBLE, 12), _HALF_HOURS)
"""Slots that a year can have."""

_TYPE_OF_BITS = np.full(KIND_BITS + sum(BIT_OF_DAY[day] for day in WEEKDAYS) + 1, -1, np.int64)
for _index, (_kind, _weekday) in enumerate(_TYPES):
    _TYPE_OF_BITS[BIT_OF_DAY[_kind] | BIT_OF_DAY[_weekday]] = _index
for _index, _weekday in enumerate(WEEKDAYS):
    # Without a calendar all kinds are the same: any of them stands for the day.
    _TYPE_OF_BITS[BIT_OF_DAY[_weekday]] = _index

HalfHour = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[03]0|24:00)$")]
Month = Annotated[int, Field(strict=True, ge=1, le=12)]


class Window(Strict):
    """From a half hour up to, not including, another, on the named days of the named months; left out means all."""

    months: Annotated[list[Month], Field(min_length=1)] | None = None
    days: Annotated[list[DayName], Field(min_length=1)] | None = None
    start: Annotated[HalfHour, Field(alias="from")] = "00:00"
    end: Annotated[HalfHour, Field(alias="before")] = "24:00"


@dataclass(frozen=True)
class Schedule:
    """Which slot a reading lies in; ``days`` is NO_CALENDAR where weekdays are enough."""

    days: DayTable

    def slots(self, days: Days, minutes: Ints) -> Ints:
        """Slot of each row, int64; −1 where the minute is not one of a day or nobody knows the day."""
        first_slot = by_day(days, self._first_slot)
        known = (minutes >= 0) & (minutes < 24 * 60) & (first_slot >= 0)
        return np.where(known, first_slot + np.where(known, minutes, 0) // 30, -1)

    def _first_slot(self, days: Days) -> Ints:
        """Slot of each day's first half hour, −1 where nobody knows the day."""
        day = days.astype(np.int64)
        bits = weekday_bits(day) if self.days is NO_CALENDAR else self.days.of(day)
        month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        day_type = _TYPE_OF_BITS[bits]
        return np.where(day_type >= 0, (month * len(_TYPES) + day_type) * _HALF_HOURS, -1)


def compile_schedule(calendar: Calendar | None, windows: Sequence[Window]) -> Schedule:
    """The days of some windows; ParameterError for a calendar that is missing, idle or contradicts itself."""
    return Schedule(compile_calendar(calendar, [day for window in windows for day in window.days or ()]))


def compile_windows(windows: Sequence[Window], path: str) -> Bools:
    """Which slots any of the windows holds in, bool of shape (SLOTS,).

    Raises ParameterError for a window that ends before it begins.
    """
    table = np.zeros((12, len(_TYPES), _HALF_HOURS), np.bool_)
    for index, window in enumerate(windows):
        start, end = _half_hour(window.start), _half_hour(window.end)
        if start >= end:
            remedy = "a window ends after it begins: write two when it crosses midnight"
            raise ParameterError(f"{path}[{index}].before", window.end, remedy)
        named = bits_of(window.days)
        types = [not named or bool(named & (BIT_OF_DAY[kind] | BIT_OF_DAY[day])) for kind, day in _TYPES]
        for month in window.months or range(1, 13):
            table[month - 1, types, start:end] = True
    return table.reshape(SLOTS)


def describe_slot(slot: int) -> str:
    """A slot in words, for messages."""
    month, rest = divmod(slot, len(_TYPES) * _HALF_HOURS)
    day_type, half_hour = divmod(rest, _HALF_HOURS)
    kind, weekday = _TYPES[day_type]
    return f"month {month + 1}, {weekday} ({kind}), {half_hour // 2:02d}:{half_hour % 2 * 30:02d}"


def _half_hour(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 2 + int(minutes) // 30
