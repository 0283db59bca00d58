"""Fees, shares, positions and the proposal: laws that hold for every window."""

from __future__ import annotations

import datetime
from collections import Counter
from fractions import Fraction
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.accounts import MEMO_KINDS
from clearing.allotment import largest_remainder
from clearing.config import Settings, parse_settings
from clearing.settlement import Takings, fee_postings, fee_rows, net_positions

SAMPLE: Settings = parse_settings(
    resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8"), "sample"
)
DAY = 20_514
DATE = datetime.date(2026, 3, 2)
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


@given(takings)
def test_fees_follow_the_schedule_and_are_shared_to_the_fen(listed: list[Takings]) -> None:
    rows = fee_rows(listed, SAMPLE, DATE)
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
    rows = fee_rows([Takings(201, 10, base, base, 0)], SAMPLE, DATE)
    assert sum(row["fen"] for row in rows) == fee


def test_the_issuer_share_is_divided_by_what_their_cards_paid() -> None:
    rows = fee_rows([Takings(201, 10, 0, 30_000, 0), Takings(201, 20, 0, 20_000, 0)], SAMPLE, DATE)
    assert [(row["share"], row["participant"], row["fen"]) for row in rows] == [
        ("issuer", 10, 54),
        ("issuer", 20, 36),
        ("acquirer", 1, 150),
        ("centre", 1, 60),
    ]


def test_an_issuer_that_takes_back_more_than_it_paid_has_no_share() -> None:
    rows = fee_rows([Takings(201, 10, 0, -300, 0), Takings(201, 20, 0, 90_300, 0)], SAMPLE, DATE)
    assert {row["participant"] for row in rows if row["share"] == "issuer"} == {20}
    assert sum(row["fen"] for row in rows) == rows[0]["fee"] == 540


@given(takings)
def test_fees_are_balanced_and_leave_the_reserve_alone(listed: list[Takings]) -> None:
    postings = fee_postings(fee_rows(listed, SAMPLE, DATE), DAY)
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
