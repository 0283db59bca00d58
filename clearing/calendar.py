"""The only owner of business time (docs/clearing-rules.md §3, §12).

Operating day, received window and window are pure functions of transaction time, receipt time and the published
calendar, pay days of window, cycle and the centre's table of holidays; nothing here reads a clock except
:func:`wall_clock`, which is called once per receipt.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL
from clearing.agreements import Cycle
from clearing.config import Calendar
from clearing.errors import ConfigError
from clearing.register_rows import register_rows

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


HOLIDAYS: Final = Path("registers") / "holidays.csv"
"""The centre's table of holidays and make-up days, relative to its folder."""

HOLIDAY_COLUMNS: Final = ("date", "kind", "status")


@dataclass(frozen=True)
class BusinessDays:
    """Which days are business days: Monday to Friday without the holidays (法定节假日), with the make-up days (调休).

    ``official`` years are those whose every line is; about other years nothing is known that money could go by.
    """

    holidays: frozenset[int]
    workdays: frozenset[int]
    official: frozenset[int]
    origin: str = ""

    def is_business_day(self, day: int) -> bool:
        """Whether banks settle on a day.

        Raises:
            ConfigError: the year is missing from the table or provisional.
        """
        date = date_of(day)
        if date.year not in self.official:
            raise ConfigError(
                f"the holidays of {date.year} are not official yet: no pay day can fall there",
                where=self.origin,
                remedy=f"enter the State Council's notice for {date.year} with status official, then close again",
            )
        return day in self.workdays or (date.weekday() < 5 and day not in self.holidays)

    def first_from(self, day: int) -> int:
        """The first business day that is not before ``day``."""
        while not self.is_business_day(day):
            day += 1
        return day

    def pay_day(self, window: int, cycle: Cycle) -> int:
        """The business day on which the money of a window is paid; never the window's own day."""
        day = window + 1
        if cycle.kind == "days":
            day = self.first_from(day)
            for _ in range(cycle.number - 1):
                day = self.first_from(day + 1)
            return day
        while not _falls_on(date_of(day), cycle):
            day += 1
        return self.first_from(day)

    def pay_day_at_close(self, window: int, earlier: int, cycle: Cycle) -> int | None:
        """The pay day that the close of a window proposes for, None when the cycle goes on.

        ``T+n`` proposes at every close. A weekly or monthly cycle proposes when a period ended in this window or in
        one after the window closed before (``earlier``): days without a close do not lose a period.
        """
        if cycle.kind == "days":
            return self.pay_day(window, cycle)
        ended = [day for day in range(earlier + 1, window + 1) if _falls_on(date_of(day + 1), cycle)]
        return self.first_from(ended[-1] + 1) if ended else None


def _falls_on(date: datetime.date, cycle: Cycle) -> bool:
    if cycle.kind == "weekday":
        return date.weekday() == cycle.number
    last = (date.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
    return date.day == min(cycle.number, last.day)


def load_business_days(directory: Path) -> BusinessDays:
    """The centre's table of holidays; an empty one when there is none (then no agreement can name a pay day).

    Raises:
        ConfigError: naming file, line and field.
    """
    path = directory / HOLIDAYS
    if not path.exists():
        return BusinessDays(frozenset(), frozenset(), frozenset(), str(path))
    return business_days_of((row.cells for row in register_rows(path, HOLIDAY_COLUMNS)), str(path))


def business_days_of(rows: Iterable[Mapping[str, str]], origin: str) -> BusinessDays:
    """Business days of the table's rows: ``date``, ``kind`` holiday or workday, ``status`` official or provisional.

    Raises:
        ConfigError: naming line and field.
    """
    days: dict[str, set[int]] = {"holiday": set(), "workday": set()}
    years: dict[int, set[str]] = {}
    for line, row in enumerate(rows, 2):
        try:
            date = datetime.date.fromisoformat(row["date"])
            if row["kind"] not in days or row["status"] not in ("official", "provisional"):
                raise ValueError("kind is holiday or workday, status is official or provisional")
            if row["kind"] == "workday" and date.weekday() < 5:
                raise ValueError(f"{date} is a weekday and worked anyway")
            if any(day_number(date) in listed for listed in days.values()):
                raise ValueError(f"{date} stands twice")
        except (ValueError, TypeError) as exc:
            raise ConfigError(f"line {line}: {exc}", where=origin, remedy="correct the line") from exc
        days[row["kind"]].add(day_number(date))
        years.setdefault(date.year, set()).add(row["status"])
    official = frozenset(year for year, statuses in years.items() if statuses == {"official"})
    return BusinessDays(frozenset(days["holiday"]), frozenset(days["workday"]), official, origin)
