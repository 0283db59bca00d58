"""Fees, shares, positions and the proposal: laws that hold for every window."""

from __future__ import annotations

import datetime
from collections import Counter
from fractions import Fraction
from importlib import resources
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clearing.accounts import MEMO_KINDS
from clearing.allotment import largest_remainder
from clearing.calendar import day_number
from clearing.config import Settings, parse_settings
from clearing.errors import ConfigError
from clearing.fees import Takings, fee_postings, fees_at_close
from clearing.settlement import net_positions

SAMPLE_TEXT = resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8")
SAMPLE: Settings = parse_settings(SAMPLE_TEXT, "sample")
PLAIN = yaml.load(SAMPLE_TEXT, yaml.CSafeLoader)
DAY = 20_514
JANUARY_31, FEBRUARY_28, MARCH_31 = (day_number(datetime.date(2026, *day)) for day in ((1, 31), (2, 28), (3, 31)))
weights = st.lists(st.integers(0, 10**6), min_size=1, max_size=6)
takings = st.lists(
    st.builds(
        Takings,
        merchant=st.sampled_from([201, 301, 501, 601]),
        issuer=st.sampled_from([10, 20, 21]),
        gross=st.integers(0, 10**9),
        card_paid=st.integers(0, 10**9),
        fund_paid=st.integers(0, 10**6),
    ),
    max_size=8,
    unique_by=lambda taking: (taking.merchant, taking.issuer),
)


# --- largest remainder ------------------------------------------------------------------------


@given(st.integers(0, 10**12), weights)
def test_parts_sum_to_the_whole_and_stay_next_to_their_share(total: int, shares: list[int]) -> None:
    parts = largest_remainder(total, shares)
    assert sum(parts) == total
    assert len(parts) == len(shares)
    if sum(shares):
        exact = [Fraction(total * share, sum(shares)) for share in shares]
        assert all(abs(part - wanted) < 1 for part, wanted in zip(parts, exact, strict=True))
        # Whoever was rounded up had a remainder at least as large as anybody rounded down.
        up = [w - w.__floor__() for p, w in zip(parts, exact, strict=True) if p > w]
        down = [w - w.__floor__() for p, w in zip(parts, exact, strict=True) if p < w]
        assert not up or not down or min(up) >= max(down)


@given(st.integers(0, 10**9), weights, st.integers(1, 9))
def test_only_proportions_count(total: int, shares: list[int], factor: int) -> None:
    assert largest_remainder(total, shares) == largest_remainder(total, [share * factor for share in shares])


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (11, [1, 1, 1], [4, 4, 3]),
        (1, [30, 50, 20], [0, 1, 0]),
        (1, [50, 50], [1, 0]),
        (5, [0, 0], [5, 0]),
        (7, [0, 3], [0, 7]),
        (0, [1, 2], [0, 0]),
    ],
)
def test_ties_go_to_the_earlier(total: int, shares: list[int], parts: list[int]) -> None:
    assert largest_remainder(total, shares) == parts


# --- fees -------------------------------------------------------------------------------------


def fee_rows(listed: list[Takings], settings: Settings = SAMPLE) -> list[dict[str, Any]]:
    return fees_at_close(listed, [], settings, DAY, DAY - 1).rows


def with_fees(**schedules: dict[str, Any]) -> Settings:
    """The sample centre whose merchant 501 has one schedule, or the first of two until 14 February 2026."""
    shares = {"issuer": 30, "acquirer": 50, "centre": 20}
    listed = {name: {"base": "card_paid", "shares": shares, **each} for name, each in schedules.items()}
    account = {"number": "62170000001", "bank_code": "105310400012", "name": "x"}
    dates = [datetime.date(2026, 1, 1), datetime.date(2026, 2, 15), datetime.date(2027, 1, 1)]
    dates = dates if len(listed) > 1 else [dates[0], dates[-1]]
    agreed = [
        {"participant": 501, "from": first, "to": later - datetime.timedelta(1), "cycle": "T+1", "fee": name,
         "account": account}
        for name, first, later in zip(listed, dates, dates[1:], strict=False)
    ]  # fmt: skip
    agreements = {**PLAIN["agreements"], "settlement": agreed, "fees": {**PLAIN["agreements"]["fees"], **listed}}
    return Settings.model_validate({**PLAIN, "agreements": agreements})


@given(takings)
def test_fees_follow_the_schedule_and_are_shared_to_the_fen(listed: list[Takings]) -> None:
    rows = fee_rows(listed)
    for merchant in {taking.merchant for taking in listed}:
        mine = [row for row in rows if row["merchant"] == merchant]
        name = SAMPLE.participant(merchant).fee
        base = sum(taking.card_paid for taking in listed if taking.merchant == merchant)
        if name is None:
            assert mine == []
            continue
        schedule = SAMPLE.agreements.fees[name]
        fee = max(schedule.minimum, (base * schedule.bps + 5000) // 10000) if base > 0 else 0
        assert sum(row["fen"] for row in mine) == fee
        assert {row["fee"] for row in mine} <= {fee}


@pytest.mark.parametrize(
    ("base", "fee"), [(0, 0), (-100, 0), (83, 0), (84, 1), (249, 1), (250, 2), (1_000_000, 6_000)]
)
def test_a_fee_is_rounded_once_half_up(base: int, fee: int) -> None:
    rows = fee_rows([Takings(201, 10, base, base, 0)])
    assert sum(row["fen"] for row in rows) == fee


def test_the_issuer_share_is_divided_by_what_their_cards_paid() -> None:
    rows = fee_rows([Takings(201, 10, 0, 30_000, 0), Takings(201, 20, 0, 20_000, 0)])
    assert [(row["share"], row["participant"], row["fen"]) for row in rows] == [
        ("issuer", 10, 54),
        ("issuer", 20, 36),
        ("acquirer", 1, 150),
        ("centre", 1, 60),
    ]


def test_an_issuer_that_takes_back_more_than_it_paid_has_no_share() -> None:
    rows = fee_rows([Takings(201, 10, 0, -300, 0), Takings(201, 20, 0, 90_300, 0)])
    assert {row["participant"] for row in rows if row["share"] == "issuer"} == {20}
    assert sum(row["fen"] for row in rows) == rows[0]["fee"] == 540


def alike(paid: int, rows: int, issuer: int = 10) -> Takings:
    return Takings(501, issuer, paid, paid, 0, rows)


@pytest.mark.parametrize(
    ("terms", "listed", "fee"),
    [
        # Ten times 38 bps of 83 fen round to nothing each, together they would be 3 fen.
        ({"bps": 38}, [alike(83, 10)], 0),
        ({"bps": 38}, [alike(132, 10)], 10),
        ({"bps": 60, "minimum": 2, "maximum": 5}, [alike(100, 3), alike(10_000, 2)], 3 * 2 + 2 * 5),
        ({"fixed": 1, "tiers": [{"above": 100, "bps": 5000}]}, [alike(102, 4)], 4 * (1 + 1)),
        # More taken back than taken, and a cancelled settlement of a hospital: the fee goes back with it.
        ({"bps": 100}, [alike(200, 1), alike(500, -3)], 2 - 15),
        ({"bps": 100}, [alike(200, 1), alike(-500, 1)], 2 - 5),
        ({"bps": 100, "sign": "rebate"}, [alike(200, 1)], -2),
    ],
)
def test_a_fee_per_transaction_is_rounded_and_bounded_for_each(
    terms: dict[str, Any], listed: list[Takings], fee: int
) -> None:
    rows = fee_rows(listed, with_fees(each={"level": "transaction", **terms}))
    assert sum(row["fen"] for row in rows) == fee
    assert {(row["fee"], row["level"], row["month"]) for row in rows} <= {(fee, "transaction", None)}


@given(st.lists(st.builds(alike, st.integers(0, 10**5), st.integers(-3, 9), st.sampled_from([10, 20])), max_size=6))
def test_equal_rows_are_charged_like_each_of_them(listed: list[Takings]) -> None:
    settings = with_fees(each={"level": "transaction", "bps": 38, "minimum": 1, "tiers": [{"above": 999, "bps": 7}]})
    schedule = settings.agreements.fees["each"]
    rows = fee_rows(listed, settings)
    assert sum(row["fen"] for row in rows) == sum(
        schedule.amount(each.card_paid) * (each.rows or 0) for each in listed
    )


def closed(settings: Settings, days: dict[int, int], merchant: int = 501) -> dict[int, Any]:
    """Closes of some windows in order, each with so many fen taken; by window."""
    bodies: list[dict[str, Any]] = []
    found = {}
    for day, fen in days.items():
        taken = [Takings(merchant, 10, fen, fen, 0)] if fen else []
        found[day] = fees_at_close(taken, bodies, settings, day, max(found, default=day - 1))
        bodies.append({"accrued": found[day].accrued})
    return found


MONTHLY = {"level": "month", "bps": 38, "tiers": [{"above": 100_000, "bps": 10}]}


def test_a_month_is_charged_once_with_the_window_that_ends_it() -> None:
    days = {FEBRUARY_28 + 1: 60_000, FEBRUARY_28 + 9: 60_000, MARCH_31: 41, MARCH_31 + 1: 500, MARCH_31 + 30: 0}
    fees = closed(with_fees(old={}, monthly=MONTHLY), days)
    # 100 000 at 38 bps and 20 041 at 10: tiers count the month, and it is rounded once.
    assert {day: sum(row["fen"] for row in each.rows) for day, each in fees.items()} == {
        FEBRUARY_28 + 1: 0, FEBRUARY_28 + 9: 0, MARCH_31: 380 + 20, MARCH_31 + 1: 0, MARCH_31 + 30: 2,
    }  # fmt: skip
    assert fees[MARCH_31].months == [
        {"month": MARCH_31, "merchant": 501, "schedule": "monthly", "base": 120_041, "fee": 400}
    ]
    assert {(row["level"], row["month"], row["base"]) for row in fees[MARCH_31].rows} == {
        ("month", MARCH_31, 120_041)
    }


def test_a_last_day_without_a_close_is_charged_by_the_next() -> None:
    fees = closed(with_fees(old={}, monthly=MONTHLY), {MARCH_31 - 2: 10_000, MARCH_31 + 3: 700})
    assert [row["fee"] for row in fees[MARCH_31 + 3].months] == [38]
    assert [row["window"] for row in fees[MARCH_31 + 3].accrued] == [MARCH_31 + 3], "goes to April"


def test_a_change_within_the_month_charges_every_window_by_its_own_schedule() -> None:
    """Until 14 February per window, then per month: nothing is charged twice, nothing is left out."""
    days = {JANUARY_31 + 14: 10_000, JANUARY_31 + 15: 10_000, FEBRUARY_28: 10_000}
    fees = closed(with_fees(window={"bps": 100}, monthly=MONTHLY), days)
    assert [sum(row["fen"] for row in each.rows) for each in fees.values()] == [100, 0, 76]
    assert fees[FEBRUARY_28].months[0]["base"] == 20_000


def test_a_schedule_that_is_gone_before_its_month_has_ended_refuses_the_close() -> None:
    before = closed(with_fees(old={}, monthly=MONTHLY), {MARCH_31 - 1: 10_000})[MARCH_31 - 1]
    with pytest.raises(ConfigError, match="'monthly' charges participant 501 at the end of the month"):
        fees_at_close([], [{"accrued": before.accrued}], SAMPLE, MARCH_31, MARCH_31 - 1)


@given(takings)
def test_fees_are_balanced_and_leave_the_reserve_alone(listed: list[Takings]) -> None:
    postings = fee_postings(fee_rows(listed), DAY)
    assert sum(postings.values()) == 0
    assert {source for _, _, _, source in postings} <= {0}


# --- positions -------------------------------------------------------------------

accounts = st.tuples(
    st.sampled_from(["merchant_payable", "stored_value", "fund_receivable", "suspense_payable", "fee_income"]),
    st.sampled_from([1, 10, 201, 901]),
    st.sampled_from([0, 901]),
)
legs = st.lists(st.tuples(accounts, accounts, st.integers(1, 10**9)), max_size=10)
Leg = tuple[tuple[str, int, int], tuple[str, int, int], int]


def balances_of(listed: list[Leg]) -> Counter[tuple[int, str, int, int]]:
    balances: Counter[tuple[int, str, int, int]] = Counter()
    for debit, credit, fen in listed:
        balances[DAY, *debit] -= fen
        balances[DAY, *credit] += fen
    return balances


@given(legs)
def test_positions_sum_to_zero_and_never_mix_sources(listed: list[Leg]) -> None:
    balances = balances_of(listed)
    positions = net_positions(balances)
    assert sum(position["fen"] for position in positions) == 0
    for position in positions:
        assert position["fen"] == sum(
            fen
            for (_, _, owner, source), fen in balances.items()
            if (owner, source) == (position["participant"], position["source"])
        )


@pytest.mark.parametrize("kind", sorted(MEMO_KINDS))
def test_memo_accounts_owe_nobody(kind: str) -> None:
    balances = Counter({(DAY, kind, 201, 0): 5, (DAY, "memo_contra", 1, 0): -5, (DAY, "stored_value", 10, 0): 0})
    assert all(position["fen"] == 0 for position in net_positions(balances))


def test_positions_of_unbalanced_postings_are_refused() -> None:
    with pytest.raises(AssertionError):
        net_positions(Counter({(DAY, "merchant_payable", 201, 0): 1}))
