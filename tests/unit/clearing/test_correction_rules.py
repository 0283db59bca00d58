"""Properties of corrections as pure functions: balanced, never more than there is, whatever the order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearing.accounts import ACCOUNT_KINDS
from clearing.config import Settings, parse_settings
from clearing.corrections.rules import RULES, Decided, Item, allowed_for, decide_participants, decide_transaction
from clearing.corrections.subject import Subject
from clearing.corrections.templates import TEMPLATES, Legs, Parties, joined, legs_of, reversal_of
from clearing.errors import RefusedError
from clearing.posting import Chart
from clearing.status import ClearingStatus, Disposition

SETTINGS_TEXT: Final = """
centre: {id: 1, name: {zh: c, en: c}}
calendar: {day_cut: "03:00:00", cut_off: "04:00:00", late_days_max: 30, future_tolerance_seconds: 300}
limits: {transit: 1, medical: 1, utility: 1, retail: 1, load: 1, benefit: 1}
blacklist_grace_seconds: 0
participants:
  - {id: 1, kind: centre, name: {zh: c, en: c}}
  - {id: 10, kind: issuer, name: {zh: i, en: i}, issuer_id: "3104770000000001"}
  - {id: 20, kind: counterparty, name: {zh: f, en: f}, issuer_id: "2150000000000001"}
  - {id: 501, kind: merchant, name: {zh: m, en: m}}
  - {id: 511, kind: merchant, name: {zh: n, en: n}}
  - {id: 701, kind: agent, name: {zh: a, en: a}}
  - {id: 901, kind: fund, name: {zh: f, en: f}, fund: 1}
agreements: {}
policy:
  write_offs:
    - {account: suspense_payable, from: 2020-01-01, to: 2099-12-31, after_days: 0, max_fen: 70}
    - {account: cardholder_payable, from: 2020-01-01, to: 2099-12-31, after_days: 0, max_fen: 70}
"""
SETTINGS: Final[Settings] = parse_settings(SETTINGS_TEXT, "test")
CHART: Final = Chart.of(SETTINGS)
WINDOW: Final = 20_515


def subject(accounts: dict[tuple[str, int, int], int], **given_: object) -> Subject:
    assert sum(accounts.values()) == 0
    plain = Subject(
        txn_id=(1 << 32) + 1, service="transit", status=ClearingStatus.ACCEPTED, disposition=Disposition.ACCEPTED,
        issuer=10, merchant=501, card_id=7, amount=260, window=WINDOW, age_days=400, accounts=Counter(accounts),
    )  # fmt: skip
    return replace(plain, **given_)  # type: ignore[arg-type]


PURCHASE = subject(
    {("stored_value", 10, 0): -260, ("merchant_payable", 501, 0): 200, ("cardholder_payable", 10, 0): 60,
     ("fund_receivable", 901, 901): -50, ("merchant_payable", 501, 901): 50}
)  # fmt: skip
FOREIGN = subject(
    {("counterparty_receivable", 20, 0): -260, ("merchant_payable", 501, 0): 260}, issuer=20, service="retail"
)
HELD = subject(
    {("stored_value", 10, 0): -260, ("suspense_payable", 501, 0): 260},
    status=ClearingStatus.BALANCE_BREAK, disposition=Disposition.HELD, service="retail",
)  # fmt: skip
SUBJECTS = {"purchase": PURCHASE, "foreign": FOREIGN, "held": HELD}
TXN_TEMPLATES = sorted(name for name, rule in RULES.items() if rule.subject == "transaction")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("issuer", [10, 20])
def test_every_template_balances_to_the_fen(template: str, issuer: int) -> None:
    legs = legs_of(template, Parties(issuer, 501, 701, 511, 901), 7, CHART)

    assert sum(legs.values()) == 0
    assert {kind for kind, _, _ in legs} <= ACCOUNT_KINDS.keys()
    sources: Counter[int] = Counter()
    for (kind, _, source), fen in legs.items():
        if ACCOUNT_KINDS[kind].account_class != "memo":
            sources[source] += fen
    assert not any(sources.values()), "a correction moves money within one source"


def test_first_lines_give_the_money() -> None:
    """The rules read the account that gives from the first line: a debit of what is owed, a credit of what is due."""
    for template, legs in TEMPLATES.items():
        if template in RULES and RULES[template].subject == "transaction":
            kind = ACCOUNT_KINDS[legs[0].kind]
            assert legs[0].credit is (kind.account_class in ("asset", "memo")), template


ITEMS = st.builds(
    Item,
    template=st.sampled_from(TXN_TEMPLATES),
    reason=st.just("why"),
    txn_id=st.just(1),
    fen=st.none() | st.integers(-5, 300),
    merchant=st.sampled_from([0, 501, 511]),
    payee=st.sampled_from([0, 501, 511, 10]),
    payer=st.sampled_from([0, 701]),
    source=st.sampled_from([0, 901]),
)
SEQUENCES = st.lists(ITEMS, min_size=1, max_size=12)


def apply(start: Subject, items: list[Item]) -> list[tuple[Subject, Decided, Subject]]:
    """What is not refused, with the subject before and after it."""
    now, done = start, []
    for item in items:
        try:
            decided = decide_transaction(item, now, None, SETTINGS)
        except RefusedError:
            continue
        after = replace(now, accounts=joined([now.accounts, decided.legs]))
        done.append((now, decided, after))
        now = after
    return done


def total(accounts: Legs, *kinds: str) -> int:
    return sum(fen for (kind, _, _), fen in accounts.items() if kind in kinds)


@pytest.mark.parametrize("name", SUBJECTS)
@given(items=SEQUENCES)
def test_no_sequence_moves_more_than_there_is(name: str, items: list[Item]) -> None:
    start = SUBJECTS[name]
    paid_by_card = -total(start.accounts, "stored_value", "counterparty_receivable")
    given_out = 0
    for before, decided, after in apply(start, items):
        assert sum(decided.legs.values()) == 0
        assert sum(after.accounts.values()) == 0
        for (kind, participant, source), fen in after.accounts.items():
            if kind in ("stored_value", "counterparty_receivable", "agent_receivable"):
                continue
            side = 1 if ACCOUNT_KINDS[kind].account_class in ("liability", "income") else -1
            assert side * fen >= 0, (decided.item.template, kind, participant, source, before.accounts)
        given_out += max(total(decided.legs, "refund_payable", "counterparty_payable"), 0)
        assert given_out <= paid_by_card, "never refunded more than the card paid"
        assert total(after.accounts, "written_off") <= 140


@pytest.mark.parametrize("name", ["purchase", "foreign"])
@given(items=SEQUENCES)
def test_a_reversal_takes_back_the_rest_of_whatever_was_done(name: str, items: list[Item]) -> None:
    start = SUBJECTS[name]
    done = apply(start, [*items, Item("REVERSE", "why", txn_id=1)])
    end = done[-1][2].accounts
    for kind in ("merchant_payable", "cardholder_payable", "fund_receivable", "operator_borne"):
        assert not [fen for (name_, _, _), fen in end.items() if name_ == kind and fen], kind
    given_out = sum(
        total(each.legs, "refund_payable", "counterparty_payable", "agent_receivable") for _, each, _ in done
    )
    assert given_out + total(end, "written_off") == 260, "the card has back what it paid, once"
    assert not reversal_of(end, start.issuer, CHART)


@given(items=SEQUENCES)
def test_what_a_sheet_allows_is_what_the_rules_allow(items: list[Item]) -> None:
    for before, decided, _ in apply(PURCHASE, items):
        assert decided.item.template in allowed_for(before)


def test_a_source_of_money_keeps_its_money() -> None:
    fund = Item("CLAIM", "why", payer=501, payee=511, fen=7, source=901)
    assert decide_participants(fund, SETTINGS).legs == {
        ("merchant_payable", 501, 901): -7, ("merchant_payable", 511, 901): 7,
    }  # fmt: skip
    with pytest.raises(RefusedError, match="no source of money"):
        decide_participants(replace(fund, source=511), SETTINGS)


@pytest.mark.parametrize("status", ["TIME_IN_FUTURE", "TOO_OLD"])
def test_late_and_future_rows_may_be_released(status: str) -> None:
    """Flagged by the ladder, paid only by two persons: purchases by ``RELEASE``, loads by ``RELEASE_LOAD``."""
    assert {name for name, rule in RULES.items() if status in rule.statuses} == {"RELEASE", "RELEASE_LOAD"}
