"""Bank over/short: what two persons may do about a statement line that no payment explains, to the fen."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clearing.calendar import seconds_of
from clearing.corrections.adjust import Outcome, approve, judge, open_bank_lines, propose
from clearing.corrections.rules import RULES, Item
from clearing.engine import opened
from clearing.errors import RefusedError
from clearing.reconcile.day import reconcile
from clearing.verify import rebuild, verify
from evidence.centres import PASSPHRASE
from evidence.corrected import account_text, moved_between
from evidence.paying import (
    FUND,
    FUND_ACCOUNT,
    METRO_BUS,
    OWN_ACCOUNT,
    SHOP,
    Move,
    Paying,
    camt,
    pain002,
)

AGENT = "20260302-701-0"
WINDOW = 20515
"""2026-03-03, in which these corrections post; the statement came the same day."""

TERMS = """
  bank_interest: [{from: 2026-01-01, to: 2026-03-31}]
  write_offs: [{account: bank_difference, from: 2026-01-01, to: 2099-12-31, after_days: 30, max_fen: 1000}]
"""


def statements(centre: Paying) -> dict[str, str]:
    """Three statements and a wrong answer; the lines of each by a name of their own."""
    fen = {name: centre.fen(name) for name in (SHOP, METRO_BUS, AGENT, FUND)}
    centre.order(SHOP, METRO_BUS, AGENT, FUND)
    reserve = centre.bank(
        camt(
            [
                Move("debit", 500, text="fee"),
                Move("credit", 321, text="interest"),
                Move("credit", 900, text="who?"),
                Move("debit", 900, text="sent back"),
                Move("debit", fen[SHOP] - 20, SHOP),
                Move("debit", fen[METRO_BUS] + 5, METRO_BUS),
                Move("credit", fen[AGENT] - 7, AGENT),
                Move("debit", 1200, text="gone"),
                Move("credit", 3, text="over"),
            ]
        )
    )
    names = ("opening", "fee", "interest", "unknown", "sent_back", "short", "above", "agent", "gone", "over")
    found = {name: f"{reserve.entry}:{at}" for at, name in enumerate(names, 1)}
    fund = centre.bank(camt([Move("credit", fen[FUND], text="no name")], account=FUND_ACCOUNT, number="F-1"))
    found |= {"fund_opening": f"{fund.entry}:1", "fund": f"{fund.entry}:2"}
    own = centre.bank(camt([Move("debit", 12, text="fee")], account=OWN_ACCOUNT, number="O-1", opening=0))
    found["own_fee"] = f"{own.entry}:1"
    order = str(centre.entries("order")[-1].body["message"])
    answer = centre.bank(pain002(order, [("20260302-999-0", "ACSP")]))
    return found | {"answer": f"{answer.entry}:1"}


@pytest.fixture(scope="module")
def booked(proposed: Paying, tmp_path_factory: pytest.TempPathFactory) -> tuple[Paying, dict[str, str]]:
    """Read only: a centre whose statements leave lines open."""
    centre = proposed.copy(tmp_path_factory.mktemp("booked") / "centre")
    path = centre.directory / "centre.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("  dispositions: {}", f"  dispositions: {{}}{TERMS}"), "utf-8")
    return centre, statements(centre)


@pytest.fixture
def fresh(booked: tuple[Paying, dict[str, str]], tmp_path: Path) -> tuple[Paying, dict[str, str]]:
    return booked[0].copy(tmp_path / "centre"), booked[1]


def decide(centre: Paying, *items: Item, window: int = WINDOW) -> list[Any]:
    """Legs by account, or why not; each item sees what the ones before it move."""
    with opened(centre.directory, PASSPHRASE, purpose="test") as (inside, projection):
        projection.refresh(inside.journal)
        judged = judge(inside, projection.store, list(items), window)
    return [
        {account_text(*account): fen for account, fen in each.decided.legs.items()}
        if each.decided is not None
        else str(each.refusal)
        for each in judged
    ]


def adjust(centre: Paying, *items: Item, now: str = "2026-03-03T12:00:00") -> Outcome:
    """Propose and approve."""
    clock, at = seconds_of(now), centre.directory

    asked = propose(at, list(items), passphrase=PASSPHRASE, by=centre.signer("reconciler"), now=clock)
    assert asked.proposal is not None
    return approve(at, asked.proposal, passphrase=PASSPHRASE, by=centre.signer("approver.a"), now=clock)


def trial_balance(centre: Paying) -> Counter[str]:
    return Counter({account_text(*account): fen for *account, fen in centre.query("FROM trial_balance")})


LATER = WINDOW + 30
RESERVE, OWN, FUNDS = "bank_difference 800", "bank_difference 800 from 1", "bank_difference 800 from 901"

EXPECTED: dict[str, tuple[str, dict[str, Any], int, dict[str, int]]] = {
    "BANK_CHARGE": (
        "fee", {}, WINDOW,
        {RESERVE: 500, "own_funds 1": -500, "own_funds 1 from 1": 500, "bank_charges 1 from 1": -500},
    ),
    "BANK_CHARGE of own money": ("own_fee", {}, WINDOW, {OWN: 12, "bank_charges 1 from 1": -12}),
    "BANK_INTEREST": ("interest", {}, WINDOW, {RESERVE: -321, "bank_interest 1": 321}),
    "BANK_INTEREST_OWN": (
        "interest", {}, WINDOW,
        {RESERVE: -321, "own_funds 1": 321, "own_funds 1 from 1": -321, "bank_interest 1 from 1": 321},
    ),
    "BANK_FUND": ("fund", {"fen": 40}, WINDOW, {FUNDS: -40, "fund_receivable 901 from 901": 40}),
    "BANK_FROM_AGENT": (
        "unknown", {"payer": 701}, WINDOW, {RESERVE: -900, "agent_receivable 701": 900}
    ),
    "BANK_FROM_AGENT of money that went out": (
        "gone", {"payer": 701, "fen": 200}, WINDOW, {RESERVE: 200, "agent_receivable 701": -200}
    ),
    "BANK_FROM_COUNTERPARTY": (
        "unknown", {"payer": 20}, WINDOW, {RESERVE: -900, "counterparty_receivable 20": 900}
    ),
    "BANK_FROM_PAYEE": ("unknown", {"payee": 501}, WINDOW, {RESERVE: -900, "merchant_payable 501": 900}),
    "BANK_OVER": ("over", {}, LATER, {RESERVE: -3, "written_off 1": 3}),
    "BANK_SHORT": (
        "gone", {"fen": 1000}, LATER,
        {RESERVE: 1000, "own_funds 1": -1000, "own_funds 1 from 1": 1000, "bank_loss 1 from 1": -1000},
    ),
    "RETURN_TO_SENDER": ("unknown", {}, WINDOW, {RESERVE: -900, "bank_return 800": 900}),
    "MATCH_PAYMENT paid too little": (
        "short", {}, WINDOW,
        {"payment_in_transit 501": -20123, RESERVE: 20103, "merchant_payable 501": 20},
    ),
    "MATCH_PAYMENT paid too much": (
        "above", {}, WINDOW, {"payment_in_transit 211": -298, RESERVE: 303, "merchant_payable 211": -5}
    ),
    "MATCH_PAYMENT collected too little": (
        "agent", {}, WINDOW, {"collection_in_transit 701": 200, RESERVE: -193, "agent_receivable 701": -7}
    ),
    "MATCH_PAYMENT that named nothing": (
        "fund", {"payment": FUND}, WINDOW, {"collection_in_transit 901 from 901": 200, FUNDS: -200}
    ),
    "MATCH_PAYMENT_CHARGE": (
        "agent", {}, WINDOW,
        {"collection_in_transit 701": 200, RESERVE: -193, "own_funds 1": -7, "own_funds 1 from 1": 7,
         "bank_charges 1 from 1": -7},
    ),
    "BANK_NOTED": ("answer", {}, WINDOW, {}),
}  # fmt: skip


def test_every_rule_of_a_bank_line_is_tried_here() -> None:
    """RETURN_SENT needs a receipt that goes back; an insurer's account is as a fund's; openings have their file."""
    tried = {name.split()[0] for name in EXPECTED} | {"RETURN_SENT", "BANK_INSURER", "OPENING_VALUE", "OPENING_OWN"}
    assert tried == {name for name, rule in RULES.items() if rule.subject == "bank_line"}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_each_moves_to_the_fen(booked: tuple[Paying, dict[str, str]], name: str) -> None:
    centre, lines = booked
    line, given, window, legs = EXPECTED[name]
    fen = {payment: centre.fen(payment) for payment in (SHOP, METRO_BUS, AGENT, FUND)}
    assert fen == {SHOP: 20123, METRO_BUS: 298, AGENT: 200, FUND: 200}, "what the cases are computed from"
    assert decide(centre, Item(name.split()[0], "test", bank_line=lines[line], **given), window=window) == [legs]


REFUSED = [
    ("BANK_CHARGE", "interest", {}, WINDOW, "the line is credit"),
    ("BANK_CHARGE", "fee", {"fen": 501}, WINDOW, "501 fen, where 500 are open"),
    ("BANK_INTEREST_OWN", "interest", {}, 20580, "no rule of the day gives the reserve's interest to own money"),
    ("BANK_INTEREST", "fund", {}, WINDOW, "the account holds money of fund"),
    ("BANK_FUND", "interest", {}, WINDOW, "the account holds money of reserve"),
    ("BANK_FROM_AGENT", "unknown", {"payer": 501}, WINDOW, "501 is no agent"),
    ("BANK_FROM_PAYEE", "unknown", {"payee": 701}, WINDOW, "701 takes no payments"),
    ("BANK_OVER", "over", {}, LATER - 1, "open for 29 days, not 30"),
    ("BANK_SHORT", "gone", {}, LATER, "1200 fen are above 1000"),
    ("BANK_OVER", "fee", {}, LATER, "the line is debit"),
    ("RETURN_SENT", "sent_back", {}, WINDOW, "no open line is named"),
    ("MATCH_PAYMENT", "unknown", {}, WINDOW, "there is no payment named"),
    ("MATCH_PAYMENT", "unknown", {"payment": SHOP}, WINDOW, "a credit settles no pay"),
    ("MATCH_PAYMENT", "own_fee", {"payment": SHOP}, WINDOW, "the line is of another account"),
    ("MATCH_PAYMENT", "sent_back", {"payment": "20260302-612-0"}, WINDOW, "payment 20260302-612-0 is proposed"),
    ("MATCH_PAYMENT_CHARGE", "short", {}, WINDOW, "the bank charged nothing"),
    ("MATCH_PAYMENT", "opening", {"payment": AGENT}, WINDOW, "the line is opening_balance"),
    ("BANK_NOTED", "fee", {}, WINDOW, "the line is debit"),
    ("BANK_OVER", "answer", {}, LATER, "the line is an answer"),
    ("BANK_CHARGE", "nowhere", {}, WINDOW, "no open line 1:1"),
]


@pytest.mark.parametrize(("template", "line", "given", "window", "why"), REFUSED)
def test_what_is_refused(
    booked: tuple[Paying, dict[str, str]], template: str, line: str, given: dict[str, Any], window: int, why: str
) -> None:
    centre, lines = booked
    item = Item(template, "test", bank_line=lines.get(line, "1:1"), **given)
    assert why in str(decide(centre, item, window=window)[0])


def failing(centre: Paying) -> dict[str, int]:
    """Checks that fail, with their rows."""
    found = reconcile(centre.directory, datetime.date(2026, 3, 3))
    lines = [each["rows"] for each in found.open_items if each["item"] == "bank_line"]
    failed = {each.check.name: each.rows or 0 for each in found.checks if each.failed}
    assert sum(lines) == failed.get("bank_lines_unmatched", 0)
    return failed


def test_lines_are_explained_one_by_one_until_none_is_open(fresh: tuple[Paying, dict[str, str]]) -> None:
    centre, lines = fresh
    before = trial_balance(centre)
    assert failing(centre)["bank_lines_unmatched"] == len(lines)

    def item(template: str, line: str, **given: Any) -> Item:
        return Item(template, "test", bank_line=lines[line], **given)

    returned = item("RETURN_SENT", "sent_back", linked_line=lines["unknown"])
    assert "900 fen, where 0 are to go back" in str(decide(centre, returned)[0])
    adjust(
        centre,
        item("BANK_CHARGE", "fee"), item("BANK_INTEREST", "interest"), item("BANK_CHARGE", "own_fee"),
        item("RETURN_TO_SENDER", "unknown"), returned, item("MATCH_PAYMENT", "short"),
        item("MATCH_PAYMENT", "above"), item("MATCH_PAYMENT_CHARGE", "agent"),
        item("MATCH_PAYMENT", "fund", payment=FUND), item("BANK_NOTED", "answer"),
        item("BANK_FROM_PAYEE", "gone", payee=501), item("BANK_FROM_AGENT", "over", payer=701),
    )  # fmt: skip
    assert {each["name"] for each in open_bank_lines(centre.directory)} == {lines["opening"], lines["fund_opening"]}
    assert [centre.status(payment) for payment in (SHOP, METRO_BUS, AGENT, FUND)] == ["settled"] * 4
    moved = moved_between(before, trial_balance(centre))
    assert sum(moved.values()) == 0
    assert {account: fen for account, fen in moved.items() if account.startswith("merchant_payable")} == {
        "merchant_payable 501": 20 - 1200, "merchant_payable 211": -5,
    }  # fmt: skip
    assert moved[RESERVE] == 500 - 321 + 20103 + 303 - 193 + 1200 - 3, "the two of 900 cancel each other"
    assert "bank_account 800" not in moved, "what the bank says was booked with its line"
    failed = failing(centre)
    assert failed.pop("bank_lines_unmatched") == 2
    assert "bank_difference_explained" not in failed
    assert "payments_match_accounts" not in failed
    assert verify(centre.directory, PASSPHRASE) == []
    tables = centre.query("SELECT payment, event, fen, entry FROM payment_events ORDER BY ALL")
    rebuild(centre.directory, PASSPHRASE)
    assert centre.query("SELECT payment, event, fen, entry FROM payment_events ORDER BY ALL") == tables

    # The day switches with all of it, and no position of the window is made of money that moved at the bank.
    copy = centre.copy(centre.directory.with_name("switched"))
    copy.close(datetime.date(2026, 3, 3), "2026-03-04T05:00:00")
    assert copy.query("SELECT participant, fen FROM positions WHERE \"window\" = '2026-03-03'") == []
    mixed = [item("BANK_INTEREST", "opening"), Item("CLAIM", "test", payer=501, payee=211, fen=1)]
    with pytest.raises(RefusedError, match="in proposals of their own"):
        adjust(centre, *mixed)

    # What is explained is explained once, and a payment settled so stays settled, whatever the bank says next.
    for again in (item("BANK_CHARGE", "fee"), item("MATCH_PAYMENT", "short"), item("BANK_NOTED", "answer")):
        assert isinstance(decide(centre, again)[0], str)
    closing = centre.query("SELECT closing FROM bank_statements WHERE source = 0")[0][0]
    later = centre.bank(
        camt(
            [Move("debit", 20123, SHOP, reference="again"), Move("credit", 20123, SHOP, returned="AC04")],
            number="S-2",
            opening=closing,
        )
    )
    assert [line["outcome"] for line in later.lines] == ["paid_twice", "not_settled"]
    assert centre.status(SHOP) == "settled"
    assert verify(centre.directory, PASSPHRASE) == []


def test_a_correction_is_undone_while_nothing_followed(fresh: tuple[Paying, dict[str, str]]) -> None:
    centre, lines = fresh
    names = {name: Item("BANK_CHARGE", "test", bank_line=lines[name]) for name in ("fee", "own_fee")}
    outcome = adjust(
        centre,
        names["fee"],
        Item("RETURN_TO_SENDER", "test", bank_line=lines["unknown"]),
        Item("MATCH_PAYMENT", "test", bank_line=lines["short"]),
    )
    before = trial_balance(centre)
    undo = Item("UNDO", "wrong", undoes=f"A{outcome.entry}-1")
    assert "undone already" in decide(centre, undo, undo)[1]
    adjust(centre, undo)
    assert moved_between(before, trial_balance(centre))[RESERVE] == -500
    assert decide(centre, names["fee"])[0] == EXPECTED["BANK_CHARGE"][3]
    sent = Item("RETURN_SENT", "test", bank_line=lines["sent_back"], linked_line=lines["unknown"])
    refused = decide(centre, sent, replace(undo, undoes=f"A{outcome.entry}-2"))
    assert "the money has gone back" in refused[1]
    with pytest.raises(RefusedError, match=f"payment {SHOP} is settled"):
        adjust(centre, replace(undo, undoes=f"A{outcome.entry}-3"))
    assert verify(centre.directory, PASSPHRASE) == []
