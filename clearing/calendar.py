"""The only owner of business time (docs/clearing-rules.md §3).

Operating day, received window and window are pure functions of transaction time, receipt time and the published
calendar; nothing here reads a clock except :func:`wall_clock`, which is called once per receipt.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from card_io.records import NULL
from clearing.config import Calendar

SECONDS_PER_DAY = 86400
NO_DAY = -(2**31)
"""The missing value of int32 day columns."""

_EPOCH = datetime.date(1970, 1, 1)
_ZONE_OFFSET = datetime.timedelta(hours=8)


def wall_clock() -> int:
    """Now, in seconds of the centre's wall time (Asia/Shanghai has no daylight saving since 1991)."""
    now = datetime.datetime.now(datetime.UTC) + _ZONE_OFFSET
    return int((now.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)).total_seconds())


def seconds_of(text: str) -> int:
    """Wall seconds of "YYYY-MM-DDTHH:MM:SS"."""
    return int((datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)).total_seconds())


def text_of(seconds: int) -> str:
    """ "YYYY-MM-DDTHH:MM:SS" of wall seconds."""
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).isoformat()


def day_number(date: datetime.date) -> int:
    """Days since 1970-01-01."""
    return (date - _EPOCH).days


def date_of(day: int) -> datetime.date:
    """The date of a day number."""
    return _EPOCH + datetime.timedelta(days=day)


def operating_days(txn_time: npt.NDArray[np.int64], calendar: Calendar) -> npt.NDArray[np.int32]:
    """int32[n] operating day of each transaction time; :data:`NO_DAY` where the time is missing."""
    days = (txn_time - calendar.day_cut) // SECONDS_PER_DAY
    return np.where(txn_time == NULL, NO_DAY, days).astype(np.int32)


def received_window(received_at: Any, calendar: Calendar) -> Any:
    """First business date whose cut-off lies after ``received_at`` (int or int64 array)."""
    return (received_at - calendar.cut_off) // SECONDS_PER_DAY


def cut_off_of(day: int, calendar: Calendar) -> int:
    """Wall seconds at which business date ``day`` stops taking receipts."""
    return (day + 1) * SECONDS_PER_DAY + calendar.cut_off


def windows(
    txn_time: npt.NDArray[np.int64], received_at: npt.NDArray[np.int64], calendar: Calendar
) -> npt.NDArray[np.int32]:
    """int32[n] window of each row: max(operating day, received window), future times clamped."""
    received = received_window(received_at, calendar)
    future = txn_time > received_at + calendar.future_tolerance_seconds
    known = (txn_time != NULL) & ~future
    operating = np.where(known, (txn_time - calendar.day_cut) // SECONDS_PER_DAY, received)
    return np.asarray(np.maximum(operating, received), np.int32)
