"""Dates, times and windows (rules §3): days since 1970-01-01, seconds of the centre's wall time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, datetime

DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Calendar:
    """The ``calendar`` of centre.yaml; the two times of day in seconds."""

    day_cut: int
    cut_off: int
    late_days_max: int
    future_tolerance_seconds: int


def day_of(when: date) -> int:
    return (when - _EPOCH).days


def date_of(day: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + day)


def seconds_of(text: str) -> int:
    """Wall seconds of ``YYYY-MM-DDTHH:MM:SS``."""
    moment = datetime.fromisoformat(text)
    return day_of(moment.date()) * DAY_SECONDS + moment.hour * 3600 + moment.minute * 60 + moment.second


def seconds_of_day(value: str | int) -> int:
    """Seconds of ``HH:MM:SS``; an unquoted one is a base-60 integer already (YAML 1.1)."""
    if isinstance(value, int):
        return value
    hours, minutes, seconds = (int(part) for part in value.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def wall_time(date4: int, time3: int) -> int | None:
    """``txn_time`` of the raw BCD date and time; None where there is no such moment from 2000 to 2099."""
    days, text = _calendar_day(date4), f"{time3:06x}"
    if days is None or len(text) != 6 or not text.isdecimal():
        return None
    hour, minute, second = int(text[:2]), int(text[2:4]), int(text[4:])
    if hour > 23 or minute > 59 or second > 59:
        return None
    return days * DAY_SECONDS + hour * 3600 + minute * 60 + second


@functools.cache
def _calendar_day(date4: int) -> int | None:
    text = f"{date4:08x}"
    if len(text) != 8 or not text.isdecimal() or not 2000 <= int(text[:4]) <= 2099:
        return None
    try:
        return day_of(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    except ValueError:
        return None


def operating_day(txn_time: int | None, calendar: Calendar) -> int | None:
    return None if txn_time is None else (txn_time - calendar.day_cut) // DAY_SECONDS


def received_window(received_at: int, calendar: Calendar) -> int:
    """The first business date D whose cut-off, on D + 1, lies after ``received_at``."""
    return (received_at - calendar.cut_off) // DAY_SECONDS


def window(txn_time: int | None, received_at: int, calendar: Calendar) -> int:
    received = received_window(received_at, calendar)
    day = operating_day(txn_time, calendar)
    if txn_time is None or day is None or txn_time > received_at + calendar.future_tolerance_seconds:
        return received
    return max(day, received)
