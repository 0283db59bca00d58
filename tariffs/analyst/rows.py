"""Rows ready to price, put together from the columns somebody gave, whatever they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from tariffs.analyst.services import SERVICES, Service
from tariffs.columns import NULL, Bools, Columns, Days, Ints
from tariffs.errors import ParameterError
from tariffs.tariff import Tariff
from tariffs.written import day_number, value_of

DATE = "date"
"""Column any rows may have: the day that decides which prices apply."""

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class DatedRows:
    """Rows of one kind of tariff and the day of each (int32 since 1970)."""

    rows: Columns
    day: Days
    empty: Mapping[str, Bools]
    """Where a value was missing, by column; of columns that nobody gave, none."""
    given: frozenset[str]
    """Columns somebody gave."""


def known_columns(kind: str) -> tuple[str, ...]:
    """Every column rows of a kind of tariff may have."""
    return (*SERVICES[kind].rows.SPECS, DATE)


def read_value(column: str, written: str) -> int:
    """As :func:`tariffs.written.value_of`, for :data:`DATE` too."""
    return value_of(f"{DATE}_day" if column == DATE else column, written)


def assemble(tariff: Tariff, length: int, given: Mapping[str, Ints], day: date | None = None) -> DatedRows:
    """Rows of the tariff's kind from int64 columns, NULL where a value is missing.

    A missing value takes its column's default, ``sequence`` the order of the rows. The day of a row is the
    operating day of its first known time or its day column, else :data:`DATE`, else ``day``.
    ``given`` holds known columns only. Raises ParameterError for a missing column or value, values that do not
    fit their column, a row without a day.
    """
    service = SERVICES[tariff.kind]
    columns = dict(given)
    days = days_of(tariff, length, columns, day)
    columns.pop(DATE, None)
    if service.day is not None:
        columns[service.day] = days
    if "sequence" in service.rows.SPECS:
        columns.setdefault("sequence", np.arange(length))
    filled = {name: _filled(service, name, columns.get(name)) for name in service.rows.SPECS}
    try:
        rows = service.rows.of(length, **{name: column for name, column in filled.items() if column is not None})
    except ValueError as error:
        raise ParameterError("", str(error), "write values the column can hold") from error
    empty = {name: column == NULL for name, column in given.items()}
    return DatedRows(rows, days.astype(np.int32), empty, frozenset(given))


def days_of(tariff: Tariff, length: int, given: Mapping[str, Ints], day: date | None = None) -> Ints:
    """The day of each row as :func:`assemble` finds it, int64; ParameterError for a row without one."""
    service = SERVICES[tariff.kind]
    days = np.full(length, NULL if day is None else day_number(day), np.int64)
    if DATE in given:
        days = np.where(given[DATE] == NULL, days, given[DATE])
    if service.day is not None and service.day in given:
        days = np.where(given[service.day] == NULL, days, given[service.day])
    for name in service.times:
        if name in given:
            own = (given[name] - tariff.clock.day_starts_s) // _SECONDS_PER_DAY
            days = np.where(given[name] == NULL, days, own)
    if (missing := days == NULL).any():
        ways = ", ".join([DATE, *service.times, *([service.day] if service.day else [])])
        raise ParameterError(place(DATE, missing), None, f"every row needs its day: give {ways}, or one for all rows")
    return days


def _filled(service: Service, name: str, column: Ints | None) -> Ints | None:
    default = service.rows.SPECS[name].default
    if column is None:
        if default is None:
            raise ParameterError(name, None, "the tariff needs this column")
        return None
    missing = column == NULL
    if default == NULL or not missing.any():
        return column
    if default is None:
        raise ParameterError(place(name, missing), None, "the tariff needs this value")
    return np.where(missing, default, column)


def place(column: str, wrong: np.ndarray) -> str:
    """Where the first wrong row of a column stands; rows count from 1."""
    return f"row {int(np.flatnonzero(wrong)[0]) + 1}, {column}"
