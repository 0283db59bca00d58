"""What a close pays, collects, keeps and leaves: one rule after the other, on balances written by hand."""

from __future__ import annotations

import datetime
from collections import Counter
from importlib import resources
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clearing.agreements import FeeSchedule
from clearing.calendar import business_days_of, day_number
from clearing.config import Settings
from clearing.errors import ConfigError
from clearing.fees import Takings, fees_at_close
from clearing.payments.book import Amounts, Payment, PaymentBook
from clearing.payments.due import Due, due_at_close, hold_backs, legs_of

PLAIN = yaml.load(
    resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8"), yaml.CSafeLoader
)
DATE = datetime.date(2026, 3, 2)
WINDOW = day_number(DATE)
DAYS = business_days_of([{"date": "2026-01-01", "kind": "holiday", "status": "official"}], "test")
ACCOUNT = {"number": "62170000001", "bank_code": "105310400012", "name": "收款人"}
OWN = 1


def centre(*agreements: dict[str, Any], **others: Any) -> Settings:
    """The sample centre with these settlement agreements alone, T+1 to an account unless said otherwise."""
    usual = {"from": datetime.date(2026, 1, 1), "cycle": "T+1", "account": ACCOUNT}
    listed = [{key: value for key, value in (usual | each).items() if value is not None} for each in agreements]
    return Settings.model_validate({**PLAIN, "agreements": {**PLAIN["agreements"], "settlement": listed, **others}})


def due(settings: Settings, balances: dict[tuple[str, int, int], int], *live: Payment, window: int = WINDOW) -> Due:
    book = PaymentBook([])
    book.payments = {payment.number: payment for payment in live}
    return due_at_close(Amounts(balances), book, settings, DAYS, window=window, earlier=window - 1)


def paid(found: Due) -> list[tuple[int, int, str, int, str]]:
    return [(r["participant"], r["source"], r["direction"], r["fen"], r["purpose"]) for r in found.payments]


def left(found: Due) -> list[tuple[int, int, int, str]]:
    return [(r["participant"], r["source"], r["fen"], r["reason"]) for r in found.unpaid]


@pytest.mark.parametrize(
    ("agreement", "fen", "payments", "unpaid"),
    [
        ({}, 500, [(501, 0, "pay", 500, "settlement")], []),
        ({}, -500, [(501, 0, "collect", 500, "settlement")], []),
        ({}, 0, [], []),
        ({"debts": "carry"}, -500, [], [(501, 0, -500, "carried")]),
        ({"debts": "carry"}, 500, [(501, 0, "pay", 500, "settlement")], []),
        ({"minimum_payout": 501}, 500, [], [(501, 0, 500, "below_minimum")]),
        ({"minimum_payout": 500}, 500, [(501, 0, "pay", 500, "settlement")], []),
        ({"minimum_payout": 500}, -1, [(501, 0, "collect", 1, "settlement")], []),
        ({"cycle": "weekly-fri"}, 500, [], [(501, 0, 500, "not_due")]),
        ({"cycle": "weekly-tue"}, 500, [(501, 0, "pay", 500, "settlement")], []),
        ({"account": None}, 500, [], [(501, 0, 500, "no_account")]),
        ({"participant": 502}, 500, [], [(501, 0, 500, "no_agreement")]),
        ({"to": datetime.date(2026, 3, 1)}, 500, [], [(501, 0, 500, "no_agreement")]),
        ({"from": DATE, "to": DATE}, 500, [(501, 0, "pay", 500, "settlement")], []),
    ],
)  # fmt: skip
def test_each_term_of_an_agreement(
    agreement: dict[str, Any], fen: int, payments: list[Any], unpaid: list[Any]
) -> None:
    found = due(centre({"participant": 501} | agreement), {("merchant_payable", 501, 0): fen})
    assert (paid(found), left(found)) == (payments, unpaid)


def test_what_stayed_unpaid_counts_at_the_next_close_and_a_correction_nets_by_itself() -> None:
    settings = centre({"participant": 501, "minimum_payout": 1000, "debts": "carry"})
    for cumulative, payment in ((600, None), (-200, None), (999, None), (1300, 1300)):
        found = due(settings, {("merchant_payable", 501, 0): cumulative})
        assert [row["fen"] for row in found.payments] == ([payment] if payment else [])


def test_kinds_of_one_source_are_netted_and_sources_never() -> None:
    balances = {
        ("counterparty_payable", 20, 0): 700,
        ("counterparty_receivable", 20, 0): -1000,
        ("fee_income", 20, 0): 50,
        ("merchant_payable", 20, 901): 5000,
        ("suspense_payable", 20, 0): 9,
    }
    found = due(centre({"participant": 20}), balances)
    assert paid(found) == [(20, 0, "collect", 250, "settlement")]
    assert found.payments[0]["legs"] == [
        ["counterparty_receivable", -1000],
        ["counterparty_payable", 700],
        ["fee_income", 50],
    ]
    assert left(found) == [(20, 901, 5000, "awaiting_fund")]


def test_more_than_the_cap_is_a_finding() -> None:
    settings = centre({"participant": 701, "debit_cap": 999})
    assert due(settings, {("agent_receivable", 701, 0): -999}).over_cap == []
    assert due(settings, {("agent_receivable", 701, 0): -1000}).over_cap == [
        {"participant": 701, "source": 0, "fen": 1000, "cap": 999}
    ]


@pytest.mark.parametrize(
    ("balances", "payments", "legs", "over_cap"),
    [
        # Zero net: two kinds of one source cancel each other; nothing is paid, left or over a cap.
        ({("merchant_payable", 501, 0): 500, ("agent_receivable", 501, 0): -500}, [], [], []),
        # Negative net: the rest is collected, both kinds are settled by it, and the cap looks at the rest.
        (
            {("merchant_payable", 501, 0): 300, ("agent_receivable", 501, 0): -500},
            [(501, 0, "collect", 200, "settlement")],
            [[["merchant_payable", 300], ["agent_receivable", -500]]],
            [(0, 200)],
        ),
        # At the cap it is no finding.
        (
            {("merchant_payable", 501, 0): 401, ("agent_receivable", 501, 0): -500},
            [(501, 0, "collect", 99, "settlement")],
            [[["merchant_payable", 401], ["agent_receivable", -500]]],
            [],
        ),
        # Sources are never set off against each other: owed by a fund and owing the reserve is both.
        (
            {("merchant_payable", 501, 0): -500, ("merchant_payable", 501, 901): 500},
            [(501, 0, "collect", 500, "settlement")],
            [[["merchant_payable", -500]]],
            [(0, 500)],
        ),
    ],
    ids=["zero", "negative", "at_the_cap", "two_sources"],
)  # fmt: skip
def test_kinds_are_netted_within_a_source_and_the_cap_looks_at_the_net(
    balances: dict[tuple[str, int, int], int], payments: list[Any], legs: list[Any], over_cap: list[tuple[int, int]]
) -> None:
    found = due(centre({"participant": 501, "debit_cap": 99}), balances)
    assert paid(found) == payments
    assert [row["legs"] for row in found.payments] == legs
    assert [(row["source"], row["fen"]) for row in found.over_cap] == over_cap


# --- funds ------------------------------------------------------------------------------------

FUND = {("fund_receivable", 901, 901): 0, ("merchant_payable", 211, 901): 300, ("merchant_payable", 221, 901): 100}


@pytest.mark.parametrize(
    ("came_in", "shares", "waiting"),
    [
        (0, [], [300, 100]),
        (400, [300, 100], []),
        (500, [300, 100], []),
        (200, [150, 50], [150, 50]),
        (1, [1], [299, 100]),  # largest remainder, ties to the earlier
        (-5, [], [300, 100]),
    ],
)
def test_shares_of_a_fund_go_as_far_as_its_money(came_in: int, shares: list[int], waiting: list[int]) -> None:
    settings = centre({"participant": 211}, {"participant": 221}, {"participant": 1, "account": None})
    found = due(settings, {**FUND, ("bank_account", 800, 901): -came_in, ("stored_value", 10, 901): came_in - 400})
    assert [row["fen"] for row in found.payments] == shares
    assert [row["fen"] for row in found.unpaid if row["source"] == 901] == waiting
    assert all(row["from_source"] == 901 for row in found.payments), "never out of the reserve"


def test_unidentified_money_and_money_on_the_way_pay_nobody() -> None:
    settings = centre({"participant": 211}, {"participant": 221})
    base = {**FUND, ("bank_account", 800, 901): -400}
    for taken in ({("bank_difference", 800, 901): 400}, {("payment_in_transit", 231, 901): 400}):
        assert due(settings, {**base, **taken}).payments == []


def test_benefits_come_before_shares() -> None:
    """Picked up: to the reserve. Not yet picked up: stays. Only what is left over is anybody's share."""
    settings = centre({"participant": 211}, {"participant": 221}, {"participant": 1, "account": None})
    balances = {
        ("bank_account", 800, 901): -1000,
        ("pending_load", 901, 901): 450,
        ("merchant_payable", 211, 901): 300,
        ("stored_value", 10, 0): 250,
    }
    assert sum(balances.values()) == 0
    found = due(settings, balances)
    assert paid(found) == [(OWN, 901, "pay", 250, "transfer"), (211, 901, "pay", 300, "settlement")]
    short = due(settings, {**balances, ("bank_account", 800, 901): -600, ("fund_receivable", 901, 901): -400})
    assert paid(short) == [(OWN, 901, "pay", 250, "transfer")]
    assert (211, 901, 300, "awaiting_fund") in left(short)
    # 250 are on their way to the reserve; since then 40 more were picked up.
    moving = {("between_sources", OWN, 901): -250, ("payment_in_transit", OWN, 901): 250}
    more = {("pending_load", 901, 901): 410, ("stored_value", 10, 0): 290}
    assert paid(due(settings, {**balances, **moving, **more}))[0] == (OWN, 901, "pay", 40, "transfer")


def test_an_advance_is_paid_out_of_own_money_up_to_its_limit() -> None:
    agreements = [{"participant": 211}, {"participant": 221}, {"participant": 901}]
    advance = {"fund": 901, "from": DATE, "to": DATE, "limit": 400}
    balances = {**FUND, ("fund_receivable", 901, 901): -400}
    found = due(centre(*agreements, advances=[advance]), balances)
    assert [(r["participant"], r["fen"], r["purpose"], r["from_source"]) for r in found.payments] == [
        (211, 300, "advance", OWN),
        (221, 100, "advance", OWN),
        (901, 400, "settlement", 901),
    ]
    for changes in ({"limit": 399}, {"to": DATE - datetime.timedelta(1), "from": DATE - datetime.timedelta(1)}):
        found = due(centre(*agreements, advances=[advance | changes]), balances)
        assert [row["participant"] for row in found.payments] == [901]
    outstanding = {("fund_advance", OWN, 901): 1, ("fund_advance", OWN, OWN): -1}
    found = due(centre(*agreements, advances=[advance]), {**balances, **outstanding})
    assert [row["participant"] for row in found.payments] == [901]


def test_a_fund_that_pays_gives_advances_back_first() -> None:
    settings = centre({"participant": 211}, {"participant": 1, "account": None})
    balances = {
        ("bank_account", 800, 901): -350,
        ("fund_advance", OWN, 901): 300,
        ("fund_advance", OWN, OWN): -300,
        ("bank_account", 800, OWN): 300,
        ("merchant_payable", 211, 901): 50,
    }
    found = due(settings, balances)
    assert [(r["payment"], r["fen"], r["to_source"]) for r in found.payments] == [
        ("20260302-1-901-A", 300, OWN),
        ("20260302-211-901", 50, None),
    ]


def test_fees_of_the_centre_are_swept_once() -> None:
    settings = centre({"participant": 1, "account": None, "cycle": "weekly-tue"})
    balances = {("fee_income", OWN, 0): 120}
    (sweep,) = due(settings, balances).payments
    assert (sweep["purpose"], sweep["fen"], sweep["to_source"]) == ("sweep", 120, OWN)
    assert due(settings, balances, Payment(sweep, 1)).payments == []
    assert due(settings, {**balances, ("own_funds", OWN, 0): -120}).payments == []
    assert due(settings, {("fee_income", OWN, 0): -5}).payments == []


# --- hold-back --------------------------------------------------------------------------------


def test_part_of_a_window_is_kept_and_released_at_the_first_close_that_may() -> None:
    settings = centre({"participant": 501, "hold_back": {"bps": 1000, "release_days": 3}})
    kept, released = hold_backs(
        Counter({(501, 0): 1005, (501, 901): 99}), [], settings, window=WINDOW, after=WINDOW - 1
    )
    assert kept == [{"participant": 501, "source": 0, "fen": 101, "until": WINDOW + 3}]
    assert released == []
    for window, after, back in ((2, 1, []), (3, 2, [101]), (9, 2, [101]), (4, 3, [])):
        _, released = hold_backs(Counter(), kept, settings, window=WINDOW + window, after=WINDOW + after)
        assert [row["fen"] for row in released] == back
    assert hold_backs(Counter({(501, 0): -1005}), [], settings, window=WINDOW, after=WINDOW - 1) == ([], [])


# --- legs -------------------------------------------------------------------------------------

KINDS = ["merchant_payable", "counterparty_receivable", "counterparty_payable", "fee_income"]


@given(st.dictionaries(st.sampled_from(KINDS), st.integers(-(10**9), 10**9), min_size=1), st.data())
def test_legs_sum_to_the_payment_and_take_no_more_than_there_is(amounts: dict[str, int], data: st.DataObject) -> None:
    whole = sum(amounts.values())
    if whole == 0:
        return
    fen = data.draw(st.integers(1, whole) if whole > 0 else st.integers(whole, -1))
    legs = dict(legs_of(amounts, fen))
    assert sum(legs.values()) == fen
    for kind, part in legs.items():
        assert 0 < part <= amounts[kind] or amounts[kind] <= part < 0
    assert all(legs[kind] == have for kind, have in amounts.items() if have * fen < 0), "debts first"


# --- fees by agreement ------------------------------------------------------------------------

SHARES = {"issuer": 0, "acquirer": 0, "centre": 1}


@pytest.mark.parametrize(
    ("terms", "base", "fee"),
    [
        ({"fixed": 30}, 1, 30),
        ({"fixed": 30}, 0, 0),
        ({"fixed": 30}, -5, 0),
        ({"bps": 60, "fixed": 30}, 10_000, 90),
        ({"bps": 60, "minimum": 100}, 10_000, 100),
        ({"bps": 60, "maximum": 50}, 10_000, 50),
        ({"bps": 60, "minimum": 50, "maximum": 50}, 1, 50),
        ({"bps": 100, "tiers": [{"above": 1000, "bps": 50}]}, 1000, 10),
        ({"bps": 100, "tiers": [{"above": 1000, "bps": 50}]}, 3000, 20),
        ({"bps": 100, "tiers": [{"above": 1000, "bps": 50}, {"above": 2000, "bps": 0}]}, 9000, 15),
        ({"bps": 0, "tiers": [{"above": 1000, "bps": 50}]}, 999, 0),
        ({"bps": 1, "tiers": [{"above": 4999, "bps": 2}]}, 5001, 1),  # rounded once, half up
    ],
)
def test_fee_schedules(terms: dict[str, Any], base: int, fee: int) -> None:
    assert FeeSchedule.model_validate({"base": "card_paid", "shares": SHARES, **terms}).amount(base) == fee


@pytest.mark.parametrize(
    "terms",
    [
        {"tiers": [{"above": 0, "bps": 1}]},
        {"tiers": [{"above": 5, "bps": 1}, {"above": 5, "bps": 2}]},
        {"minimum": 2, "maximum": 1},
        {"bps": 10_001},
    ],
)
def test_impossible_schedules_are_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FeeSchedule.model_validate({"base": "card_paid", "shares": SHARES, **terms})


def test_a_fee_changes_with_the_date_of_its_agreement_and_a_rebate_is_paid_back() -> None:
    fees = {
        **PLAIN["agreements"]["fees"],
        "cheap": {"base": "card_paid", "bps": 10, "shares": SHARES},
        "back": {"base": "card_paid", "bps": 10, "sign": "rebate", "shares": SHARES},
    }
    settings = centre(
        {"participant": 501, "to": datetime.date(2026, 3, 1)},
        {"participant": 501, "from": DATE, "to": DATE, "fee": "cheap"},
        {"participant": 501, "from": datetime.date(2026, 3, 3), "fee": "back"},
        fees=fees,
    )
    takings = [Takings(501, 10, 100_000, 100_000, 0)]
    sums = [
        sum(row["fen"] for row in fees_at_close(takings, [], settings, day, day - 1).rows)
        for day in (WINDOW - 1, WINDOW, WINDOW + 1)
    ]
    assert sums == [380, 100, -100]


@pytest.mark.parametrize(
    ("agreements", "others", "message"),
    [
        ([{"participant": 999}], {}, "participant 999 is not listed"),
        ([{"participant": 501}, {"participant": 501}], {}, "has another agreement on the same days"),
        ([{"participant": 501, "fee": "none"}], {}, "fee schedule 'none' is not defined"),
        ([{"participant": 501, "cycle": "daily"}], {}, "is no cycle"),
        ([{"participant": 501, "account": {**ACCOUNT, "bank_code": "12"}}], {}, "bank_code"),
        ([{"participant": 501, "account": {**ACCOUNT, "name": "a|b"}}], {}, "name"),
        ([], {"advances": [{"fund": 999, "from": DATE, "to": DATE}]}, "participant 999 is not listed"),
        ([{"participant": 501, "from": DATE, "to": datetime.date(2026, 1, 1)}], {}, "to lies before from"),
    ],
)
def test_agreements_that_cannot_be_are_refused(agreements: list[Any], others: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, ConfigError), match=message):
        centre(*agreements, **others)
