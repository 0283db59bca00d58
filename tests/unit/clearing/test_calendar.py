"""Operating days, received windows and windows (docs/clearing-rules.md §3) against dates of the standard library."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.records import NULL
from clearing import calendar
from clearing.calendar import NO_DAY, SECONDS_PER_DAY
from clearing.config import Calendar

EPOCH = datetime.datetime(1970, 1, 1)
seconds = st.integers(0, 4_102_444_799)  # to the end of 2099
times_of_day = st.integers(0, 86_399)
calendars = st.builds(
    lambda day_cut, cut_off: Calendar(
        day_cut=day_cut, cut_off=cut_off, late_days_max=30, future_tolerance_seconds=300
    ),
    times_of_day,
    times_of_day,
)
SAMPLE = Calendar(day_cut="03:00:00", cut_off="04:00:00", late_days_max=30, future_tolerance_seconds=300)


def operating_day(time: int, rules: Calendar) -> int:
    moment = EPOCH + datetime.timedelta(seconds=time)
    date = moment.date()
    if moment.time() < (EPOCH + datetime.timedelta(seconds=rules.day_cut)).time():
        date -= datetime.timedelta(1)
    return (date - EPOCH.date()).days


def cut_off(day: int, rules: Calendar) -> datetime.datetime:
    return EPOCH + datetime.timedelta(days=day + 1, seconds=rules.cut_off)


def window(time: int, received_at: int, rules: Calendar) -> int:
    received = int(calendar.received_window(received_at, rules))
    if time == NULL or time > received_at + rules.future_tolerance_seconds:
        return received
    return max(operating_day(time, rules), received)


@given(st.lists(seconds | st.just(NULL), min_size=1), calendars)
@settings(deadline=None)
def test_operating_days(times: list[int], rules: Calendar) -> None:
    expected = [NO_DAY if time == NULL else operating_day(time, rules) for time in times]
    assert calendar.operating_days(np.array(times, np.int64), rules).tolist() == expected


@given(seconds, calendars)
def test_the_received_window_is_the_first_whose_cut_off_lies_after_the_receipt(at: int, rules: Calendar) -> None:
    day = int(calendar.received_window(at, rules))
    moment = EPOCH + datetime.timedelta(seconds=at)
    assert cut_off(day - 1, rules) <= moment < cut_off(day, rules)
    assert calendar.cut_off_of(day, rules) == int((cut_off(day, rules) - EPOCH).total_seconds())


@given(st.lists(st.tuples(seconds | st.just(NULL), seconds), min_size=1, max_size=20), calendars)
@settings(deadline=None)
def test_windows(pairs: list[tuple[int, int]], rules: Calendar) -> None:
    times, received = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    found = calendar.windows(times, received, rules)
    assert found.tolist() == [window(*pair, rules) for pair in pairs]
    assert np.all(found >= calendar.received_window(received, rules)), "no row settles in a window already cut off"


@pytest.mark.parametrize(
    ("time", "received", "expected"),
    [
        ("2026-03-02T12:00:00", "2026-03-02T20:00:00", "2026-03-02"),
        ("2026-03-02T12:00:00", "2026-03-03T03:59:59", "2026-03-02"),
        ("2026-03-02T12:00:00", "2026-03-03T04:00:00", "2026-03-03"),
        ("2026-03-03T02:59:59", "2026-03-03T03:30:00", "2026-03-02"),
        ("2026-03-03T03:00:00", "2026-03-03T03:30:00", "2026-03-03"),
        ("2026-03-03T03:35:00", "2026-03-03T03:30:00", "2026-03-03"),
        ("2026-03-03T03:35:01", "2026-03-03T03:30:00", "2026-03-02"),
        ("2027-01-01T00:00:00", "2026-03-02T20:00:00", "2026-03-02"),
    ],
)
def test_windows_of_the_sample_centre(time: str, received: str, expected: str) -> None:
    at = np.array([calendar.seconds_of(time)]), np.array([calendar.seconds_of(received)])
    assert calendar.date_of(int(calendar.windows(*at, SAMPLE)[0])).isoformat() == expected


@given(seconds)
def test_texts_and_dates_there_and_back(at: int) -> None:
    assert calendar.seconds_of(calendar.text_of(at)) == at
    day = at // SECONDS_PER_DAY
    assert calendar.day_number(calendar.date_of(day)) == day
    assert calendar.text_of(at).startswith(calendar.date_of(day).isoformat())


def test_the_wall_clock_is_that_of_the_centre() -> None:
    shanghai = datetime.timezone(datetime.timedelta(hours=8))
    now = datetime.datetime.now(shanghai).replace(tzinfo=None)
    assert abs(calendar.wall_clock() - (now - EPOCH).total_seconds()) < 5
