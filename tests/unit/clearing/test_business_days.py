"""Business days and pay days: pure functions of window, cycle and the table; nothing guessed."""

from __future__ import annotations

import datetime
from importlib import resources

import chinese_calendar
import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.agreements import Cycle
from clearing.calendar import BusinessDays, business_days_of, date_of, day_number
from clearing.errors import ConfigError

TEXT = resources.files("clearing.centre_template").joinpath("holidays.csv").read_text("utf-8")
ROWS = [dict(zip(("date", "kind", "status"), line.split(","), strict=True)) for line in TEXT.splitlines()[1:]]
DAYS = business_days_of(ROWS, "holidays.csv")


def day(text: str) -> int:
    return day_number(datetime.date.fromisoformat(text))


@pytest.mark.parametrize(
    ("window", "cycle", "paid"),
    [
        ("2026-03-02", "T+1", "2026-03-03"),
        ("2026-03-06", "T+1", "2026-03-09"),  # Friday
        ("2026-03-07", "T+1", "2026-03-09"),
        ("2026-03-06", "T+2", "2026-03-10"),
        ("2026-02-13", "T+1", "2026-02-14"),  # a Saturday worked before Spring Festival
        ("2026-02-14", "T+1", "2026-02-24"),  # the long holiday, and it ends on a Tuesday
        ("2026-02-14", "T+3", "2026-02-26"),
        ("2026-09-30", "T+1", "2026-10-08"),
        ("2026-09-19", "T+1", "2026-09-20"),  # a Sunday worked before mid-autumn
        ("2026-03-02", "weekly-fri", "2026-03-06"),
        ("2026-03-06", "weekly-fri", "2026-03-13"),
        ("2026-09-28", "weekly-thu", "2026-10-08"),  # National Day
        ("2026-03-02", "monthly-10", "2026-03-10"),
        ("2026-03-10", "monthly-10", "2026-04-10"),
        ("2026-02-20", "monthly-31", "2026-02-28"),  # the last of February, a Saturday worked
        ("2026-04-20", "monthly-31", "2026-04-30"),
    ],
)
def test_pay_days(window: str, cycle: str, paid: str) -> None:
    assert date_of(DAYS.pay_day(day(window), Cycle.parse(cycle))).isoformat() == paid


@pytest.mark.parametrize("text", ["T+0", "T1", "T+100", "weekly", "weekly-fry", "monthly-0", "monthly-32", "daily"])
def test_other_cycles_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no cycle"):
        Cycle.parse(text)


@given(st.integers(day("2016-01-01"), day("2026-11-30")), st.sampled_from(["T+1", "T+3", "weekly-mon", "monthly-1"]))
def test_a_pay_day_is_a_business_day_after_its_window_and_never_goes_back(window: int, text: str) -> None:
    cycle = Cycle.parse(text)
    paid = DAYS.pay_day(window, cycle)
    assert paid > window
    assert DAYS.is_business_day(paid)
    assert DAYS.pay_day(window - 1, cycle) <= paid
    at_close = DAYS.pay_day_at_close(window, window - 1, cycle)
    assert at_close in (None, paid)
    assert (at_close is None) == (cycle.kind != "days" and DAYS.pay_day_at_close(window, window - 1, cycle) is None)


@given(st.integers(day("2016-01-01"), day("2026-10-31")), st.sampled_from(["weekly-wed", "monthly-15"]))
def test_days_without_a_close_lose_no_period(window: int, text: str) -> None:
    """Whoever closes once after forty days still pays the last period that ended."""
    cycle = Cycle.parse(text)
    each = [DAYS.pay_day_at_close(one, one - 1, cycle) for one in range(window + 1, window + 41)]
    ended = [paid for paid in each if paid is not None]
    assert ended
    assert DAYS.pay_day_at_close(window + 40, window, cycle) == ended[-1]


@pytest.mark.parametrize(("window", "cycle"), [("2026-12-31", "T+1"), ("2014-12-30", "T+1"), ("2026-12-28", "T+5")])
def test_years_without_an_official_notice_are_refused(window: str, cycle: str) -> None:
    with pytest.raises(ConfigError, match="are not official yet"):
        DAYS.pay_day(day(window), Cycle.parse(cycle))


def test_a_provisional_line_makes_its_year_provisional() -> None:
    rows = [*ROWS, {"date": "2027-01-01", "kind": "holiday", "status": "official"}]
    assert business_days_of(rows, "x").pay_day(day("2026-12-31"), Cycle.parse("T+1")) == day("2027-01-04")
    rows.append({"date": "2027-02-06", "kind": "holiday", "status": "provisional"})
    with pytest.raises(ConfigError, match="holidays of 2027 are not official yet"):
        business_days_of(rows, "x").pay_day(day("2026-12-31"), Cycle.parse("T+1"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("2027-13-01", "holiday", "official"), "line 2"),
        (("2027-01-01", "feast", "official"), "holiday or workday"),
        (("2027-01-01", "holiday", "perhaps"), "official or provisional"),
        (("2027-01-04", "workday", "official"), "worked anyway"),
    ],
)
def test_wrong_lines_are_named(row: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        business_days_of([dict(zip(("date", "kind", "status"), row, strict=True))], "x")
    doubled = {"date": "2027-01-01", "kind": "holiday", "status": "official"}
    with pytest.raises(ConfigError, match="stands twice"):
        business_days_of([doubled, doubled], "x")


def test_an_empty_table_knows_no_year() -> None:
    with pytest.raises(ConfigError):
        BusinessDays(frozenset(), frozenset(), frozenset()).is_business_day(day("2026-03-02"))


@pytest.mark.parametrize("year", range(2015, 2027))
def test_the_table_is_what_two_libraries_say(year: int) -> None:
    other = holidays.country_holidays("CN", years=[year])
    first, last = day(f"{year}-01-01"), day(f"{year}-12-31")
    for number in range(first, last + 1):
        date = date_of(number)
        assert DAYS.is_business_day(number) == chinese_calendar.is_workday(date) == other.is_working_day(date), date
