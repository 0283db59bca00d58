"""Tariff periods: which period a reading counts to, and how many days it has."""

from __future__ import annotations

from datetime import date

import numpy as np

from tariffs.columns import Days, Ints
from tariffs.owners import by_day

_MONTHS = {"calendar_year": 12, "calendar_two_months": 2, "calendar_month": 1}


def period_key(days: Days, period: str) -> Ints:
    """Name of the calendar period of each day, int64: 2026, or 202603 for a month or the first of two."""

    def key(days: Days) -> Ints:
        first = _first_month(days, period)
        year, month = first // 12 + 1970, first % 12 + 1
        return year if period == "calendar_year" else year * 100 + month

    return by_day(days, key)


def period_days(days: Days, period: str) -> Ints:
    """Days in the calendar period of each day, int64."""

    def length(days: Days) -> Ints:
        first = _first_month(days, period)
        return _month_start(first + _MONTHS[period]) - _month_start(first)

    return by_day(days, length)


def day_key(days: Days) -> Ints:
    """A day as a number to read, int64: 20260301."""
    month = days.astype("datetime64[D]").astype("datetime64[M]")
    in_month = days.astype(np.int64) - month.astype("datetime64[D]").astype(np.int64)
    number = month.astype(np.int64)
    return (number // 12 + 1970) * 10_000 + (number % 12 + 1) * 100 + in_month + 1


def piece_of_year(days: Days, first_day: date, last_day: date) -> tuple[Ints, Ints]:
    """Key of the piece of its year in which prices hold from ``first_day`` to ``last_day``, and its days.

    The piece is the whole year (2026) or named by its first day (20260701).
    """
    first = _first_month(days, "calendar_year")
    begin, end = _month_start(first), _month_start(first + 12)
    from_day = np.maximum(begin, (first_day - date(1970, 1, 1)).days)
    to_day = np.minimum(end, (last_day - date(1970, 1, 1)).days + 1)
    whole = (from_day == begin) & (to_day == end)
    key = np.where(whole, first // 12 + 1970, day_key(from_day.astype(np.int32)))
    return key, to_day - from_day


def _first_month(days: Days, period: str) -> Ints:
    """First month of the period as months since January 1970."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return month - month % _MONTHS[period]


def _month_start(month: Ints) -> Ints:
    """Day number of the first day of each month."""
    first: Ints = month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first
