"""The auditor on hand-written cases: a list of rows in arrival order, each with the status it must get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from price_cases import TOLERATED_PRICES

from auditor.ladder import AFTER_REPLAY, BEFORE_REPLAY, Check
from auditor.model import Row
from auditor.samples import (
    CARD,
    DAY,
    FOREIGN,
    FOREIGN_CARD,
    KEYLESS,
    OTHER_CARD,
    TODAY,
    audited,
    bill,
    row,
    sample_centre,
    sample_cipher,
)

NEXT_WINDOW = "2026-03-03T20:00:00"

Case = list[tuple[Row, str]]

FORM: dict[str, Case] = {
    "a genuine row of each service": [
        (row("transit"), "ACCEPTED"),
        (row("retail", card_counter=11, terminal_counter=101), "ACCEPTED"),
        (row("medical", card_counter=12, terminal_counter=102), "ACCEPTED"),
        (row("utility", card_counter=13, terminal_counter=103, bills=[bill(1, 200)]), "ACCEPTED"),
        (row("load"), "ACCEPTED"),
        (row("benefit"), "ACCEPTED"),
    ],
    "types not of the service": [
        (row("transit", txn_type=2), "FORM_INVALID"),
        (row("retail", txn_type=0, amount=0), "FORM_INVALID"),
        (row("load", txn_type=6), "FORM_INVALID"),
        (row("benefit", txn_type=6), "FORM_INVALID"),
    ],
    "values out of form": [
        (row("retail", purse_kind=3), "FORM_INVALID"),
        (row("retail", record_state=3), "FORM_INVALID"),
        (row("retail", test_flag=2), "FORM_INVALID"),
        (row("transit", mode=3), "FORM_INVALID"),
        (row("medical", txn_type=0, amount=1), "FORM_INVALID"),
        (row("utility"), "FORM_INVALID"),
        (row("utility", bills=[bill(1, -1)]), "FORM_INVALID"),
        (row("benefit", granted=0), "FORM_INVALID"),
        (row("benefit", benefit_id=None), "FORM_INVALID"),
    ],
    "the four medical identities, and cash that does not cover the purse": [
        (row("medical", medfee_sumamt=1001), "FORM_INVALID"),
        (row("medical", hifp_pay=499), "FORM_INVALID"),
        (row("medical", hosp_part_amt=1), "FORM_INVALID"),
        (row("medical", acct_pay=299), "FORM_INVALID"),
        (row("medical", acct_pay=301, psn_cash_pay=199), "FORM_INVALID"),
    ],
    "form comes before time, time before the test flag": [
        (row("retail", purse_kind=3, date="2026-02-30"), "FORM_INVALID"),
        (row("retail", test_flag=1, date="2026-02-30"), "TIME_IMPOSSIBLE"),
        (row("retail", test_flag=1, record_state=1), "TEST_RECORD"),
        (row("retail", record_state=1, merchant_id=4), "GREY_RECORD"),
        (row("retail", record_state=2, merchant_id=4), "LOCKED_RECORD"),
    ],
}

PARTIES: dict[str, Case] = {
    "merchant": [
        (row("retail", merchant_id=4, issuer_id=4), "UNKNOWN_MERCHANT"),
        (row("retail", merchant_id=502), "UNKNOWN_MERCHANT"),
    ],
    "terminal": [
        (row("transit", terminal_id=9), "UNKNOWN_TERMINAL"),
        (row("transit", terminal_id=8, issuer_id=4), "UNKNOWN_TERMINAL"),
    ],
    "issuer and algorithm": [
        (row("retail", issuer_id=4), "UNKNOWN_ISSUER"),
        (row("retail", algorithm=4), "ALGORITHM_NOT_PERMITTED"),
    ],
    "keys": [
        (row("retail", key_version=2), "KEY_UNKNOWN"),
        (row("retail", date="2019-12-31"), "KEY_UNKNOWN"),
        (row("transit", issuer_id=KEYLESS, card=FOREIGN_CARD), "ACCEPTED"),
        (row("retail", issuer_id=KEYLESS, card=FOREIGN_CARD), "KEY_UNKNOWN"),
        (row("transit", issuer_id=FOREIGN, card=FOREIGN_CARD, key_index=2), "KEY_UNKNOWN"),
    ],
    "no TAC": [
        (row("transit", tac=None), "TAC_MISSING"),
        (row("retail", tac=None, terminal_counter=101), "ACCEPTED"),
        (row("transit", terminal_counter=None, tac=5), "TAC_MISSING"),
        (row("load", balance_after=None, tac=5), "TAC_MISSING"),
        (row("medical", txn_type=0, amount=0, tac=None, card_counter=None), "ACCEPTED"),
    ],
    "card": [
        (row("retail", card=FOREIGN_CARD), "CARD_UNKNOWN"),
        (row("retail", card=FOREIGN_CARD, issuer_id=FOREIGN), "ACCEPTED"),
    ],
}

REPLAY: dict[str, Case] = {
    "a forgery sent first blocks nothing": [
        (row("retail", tac=1), "TAC_FAILED"),
        (row("retail"), "ACCEPTED"),
    ],
    "a grey or test copy blocks nothing": [
        # The grey one is decided at the close: its own record stands.
        (row("retail", record_state=1), "REPLAY"),
        (row("retail", test_flag=1), "TEST_RECORD"),
        (row("retail"), "ACCEPTED"),
    ],
    "duplicates in one window": [
        (row("retail"), "ACCEPTED"),
        (row("retail", file="b"), "DUPLICATE"),
        (row("retail", file="b"), "DUPLICATE"),
    ],
    "duplicates across windows": [
        (row("retail"), "ACCEPTED"),
        (row("retail", received=NEXT_WINDOW), "DUPLICATE"),
    ],
    "a raised counter is a replay, whichever came first": [
        (row("retail", card_counter=11), "REPLAY"),
        (row("retail"), "ACCEPTED"),
    ],
    "a raised counter that stands since an earlier window": [
        (row("retail", card_counter=11), "ACCEPTED"),
        (row("retail", received=NEXT_WINDOW), "REPLAY"),
    ],
    "a replay does not take the counter of the next transaction": [
        (row("retail"), "ACCEPTED"),
        (row("retail", card_counter=11), "REPLAY"),
        (row("retail", card_counter=11, terminal_counter=101), "ACCEPTED"),
    ],
    "conflict by a money column the TAC does not cover": [
        (row("retail"), "CONFLICT"),
        (row("retail", balance_before=6000, balance_after=5800), "CONFLICT"),
    ],
    "each side of a conflict keeps its repeats": [
        (row("retail"), "CONFLICT"),
        (row("retail"), "DUPLICATE"),
        (row("retail", balance_before=6000, balance_after=5800), "CONFLICT"),
        (row("retail", balance_before=6000, balance_after=5800, card_counter=12), "REPLAY"),
    ],
    "conflict by counter": [
        (row("retail"), "CONFLICT"),
        (row("retail", terminal_counter=101), "CONFLICT"),
        (row("retail", terminal_counter=102, purse_kind=2), "ACCEPTED"),
        (row("load"), "ACCEPTED"),
        (row("retail", terminal_counter=103, card=OTHER_CARD), "ACCEPTED"),
    ],
    "conflict across windows holds the newcomer only": [
        (row("retail"), "ACCEPTED"),
        (row("retail", terminal_counter=101, received=NEXT_WINDOW), "CONFLICT"),
        (row("retail", balance_before=6000, balance_after=5800, received=NEXT_WINDOW), "CONFLICT"),
    ],
    "the last second before the cut-off is the same window": [
        (row("retail", received=f"{DAY}T12:30:00"), "CONFLICT"),
        (row("retail", terminal_counter=101, received="2026-03-03T03:59:59"), "CONFLICT"),
    ],
    "the second of the cut-off is the next window": [
        (row("retail", received=f"{DAY}T12:30:00"), "ACCEPTED"),
        (row("retail", terminal_counter=101, received="2026-03-03T04:00:00"), "CONFLICT"),
    ],
    "bills are money": [
        (row("utility", bills=[bill(1, 200)]), "CONFLICT"),
        (row("utility", bills=[bill(2, 200)]), "CONFLICT"),
    ],
    "rows without terminal counter compete alone, their card counters still exclude": [
        (row("retail", terminal_counter=None, tac=None), "CONFLICT"),
        (row("retail", terminal_counter=None, tac=None), "CONFLICT"),
    ],
    "loads by card counter": [
        (row("load"), "ACCEPTED"),
        (row("load"), "DUPLICATE"),
        (row("load", key_index=1, overdraft_limit=5), "REPLAY"),
    ],
    "loads with one counter and other money": [
        (row("load"), "CONFLICT"),
        (row("load", terminal_counter=101), "CONFLICT"),
    ],
    "medical settlements without purse": [
        (row("medical", txn_type=0, amount=0), "ACCEPTED"),
        (row("medical", txn_type=0, amount=0, visit_kind=1), "REPLAY"),
        (row("medical", txn_type=0, amount=0, cancel=1), "ACCEPTED"),
    ],
    "one settlement with and without purse": [
        (row("medical", txn_type=0, amount=0), "CONFLICT"),
        (row("medical"), "CONFLICT"),
    ],
    "grants by list line, and by benefit number": [
        (row("benefit"), "CONFLICT"),
        (row("benefit"), "DUPLICATE"),
        (row("benefit", list_line=2), "CONFLICT"),
        (row("benefit", list_line=3, benefit_id=56), "CONFLICT"),
        (row("benefit", list_line=3, benefit_id=57), "CONFLICT"),
        (row("benefit", list_line=4, benefit_id=58), "ACCEPTED"),
    ],
}

STATE: dict[str, Case] = {
    "balances": [
        (row("retail", balance_after=4799), "BALANCE_BREAK"),
        (row("retail", card_counter=11, terminal_counter=101, balance_before=None), "ACCEPTED"),
        (row("load", balance_before=4801), "BALANCE_BREAK"),
    ],
    "bills above the payment": [(row("utility", bills=[bill(1, 150), bill(2, 51)]), "BILLS_EXCEED_PAYMENT")],
    "limits": [
        (row("retail", amount=100_000, balance_before=100_000, balance_after=0), "ACCEPTED"),
        (
            row(
                "retail",
                amount=100_001,
                card_counter=11,
                terminal_counter=101,
                balance_before=100_001,
                balance_after=0,
            ),
            "AMOUNT_OVER_LIMIT",
        ),
        (row("benefit", granted=5_000_001), "AMOUNT_OVER_LIMIT"),
    ],
    "the future begins a second after the tolerance": [
        (row("retail", received=f"{DAY}T11:55:00"), "ACCEPTED"),
        (
            row("retail", card_counter=11, terminal_counter=101, received=f"{DAY}T11:54:59"),
            "TIME_IN_FUTURE",
        ),
    ],
    "thirty days late is not too old, thirty-one is": [
        (row("retail", received="2026-04-02T03:59:59"), "ACCEPTED"),
        (
            row("retail", card_counter=11, terminal_counter=101, received="2026-04-02T04:00:00"),
            "TOO_OLD",
        ),
    ],
    "no tarif": [
        (row("transit", mode=4), "NO_TARIFF"),
        (row("transit", mode=1, card_counter=11, terminal_counter=101), "NO_TARIFF"),
    ],
    "benefit pick-up needs card, amount and a grant received up to its window": [
        (row("load", benefit_id=55), "ACCEPTED"),
        (row("benefit"), "ACCEPTED"),
        (row("load", benefit_id=56, card_counter=11), "BENEFIT_UNMATCHED"),
        (row("benefit", benefit_id=56, list_line=2, received=NEXT_WINDOW), "ACCEPTED"),
        (row("load", benefit_id=57, card_counter=12), "BENEFIT_UNMATCHED"),
        (row("benefit", benefit_id=57, list_line=3, card=OTHER_CARD), "ACCEPTED"),
        (row("load", benefit_id=58, card_counter=13), "BENEFIT_UNMATCHED"),
        (row("benefit", benefit_id=58, list_line=4, granted=201), "ACCEPTED"),
        (row("load", benefit_id=59, card_counter=14), "BENEFIT_UNMATCHED"),
        (row("benefit", benefit_id=59, list_line=5, granted=5_000_001), "AMOUNT_OVER_LIMIT"),
    ],
    "one benefit picked up twice": [
        (row("benefit"), "ACCEPTED"),
        (row("load", benefit_id=55), "CONFLICT"),
        (row("load", benefit_id=55, card_counter=11), "CONFLICT"),
    ],
}


@pytest.mark.parametrize("case", [pytest.param(c, id=name) for name, c in (FORM | PARTIES | REPLAY | STATE).items()])
def test_statuses(case: Case) -> None:
    result = audited([one for one, _ in case])
    assert [one.status for one, _ in case] == [status for _, status in case]
    assert all(sum(amount for _, amount in one.legs) == 0 for one, _ in case)
    assert sum(result.positions.values()) == 0


def test_whole_row_profile_lets_n_equal_rows_per_file_stand() -> None:
    rows = [row("retail", tac=None, file=file) for file in ("a", "a", "a", "b")]
    for one in rows:
        one.multiplicity = 2
    audited(rows)
    assert [one.status for one in rows] == ["ACCEPTED", "ACCEPTED", "DUPLICATE", "DUPLICATE"]


def test_rows_that_only_content_tells_apart_are_reported_as_interchangeable() -> None:
    rows = [row("retail", key_index=1), row("retail", overdraft_limit=5)]
    assert audited(rows).interchangeable == [frozenset(one.key for one in rows)]


@pytest.mark.parametrize(
    ("seconds_after_publication", "removed_after", "status"),
    [
        (86_399, 200_000, "ACCEPTED"),
        (86_400, 200_000, "CARD_BLACKLISTED"),
        (199_999, 200_000, "CARD_BLACKLISTED"),
        (200_000, 200_000, "ACCEPTED"),
    ],
)
def test_blacklist_counts_after_its_grace_until_removal(
    seconds_after_publication: int, removed_after: int, status: str
) -> None:
    cipher = sample_cipher()
    centre, one = sample_centre(cipher), row("retail")
    published = TODAY * 86_400 + 12 * 3600 - seconds_after_publication
    centre.blacklist = {cipher.card_id(CARD): [(published, published + removed_after)]}
    assert audited([one], centre).rows[one.key].status == status


@pytest.mark.parametrize(
    ("time", "received", "operating", "window"),
    [
        ("02:59:59", f"{DAY}T20:00:00", TODAY - 1, TODAY),
        ("03:00:00", f"{DAY}T03:59:59", TODAY, TODAY),
        ("02:59:59", f"{DAY}T03:59:59", TODAY - 1, TODAY - 1),
        ("02:59:59", f"{DAY}T04:00:00", TODAY - 1, TODAY),
        ("12:00:00", "2026-03-03T03:59:59", TODAY, TODAY),
        ("12:00:00", "2026-03-03T04:00:00", TODAY, TODAY + 1),
        ("12:00:00", f"{DAY}T03:00:00", TODAY, TODAY - 1),
        ("25:00:00", f"{DAY}T03:59:59", None, TODAY - 1),
    ],
)
def test_windows(time: str, received: str, operating: int | None, window: int) -> None:
    one = row("retail", time=time, received=received)
    audited([one])
    assert (one.operating_day, one.window) == (operating, window)


def test_dispositions_by_direction_and_policy() -> None:
    forged, load, grey = row("retail", tac=1), row("load", tac=1), row("retail", record_state=1, card_counter=11)
    audited([forged, load, grey])
    assert [one.disposition for one in (forged, load, grey)] == ["REJECTED", "HELD", "HELD"]
    centre = sample_centre(sample_cipher())
    centre.policy = {"GREY_RECORD": {"debit": "accepted"}, "TAC_FAILED": {"debit": "accepted"}}
    audited([again := row("retail", record_state=1), forged_again := row("retail", tac=1)], centre)
    assert (again.disposition, forged_again.disposition) == ("ACCEPTED", "REJECTED")


TRANSIT_PRICES = [
    # changes, card → verdict, card_paid, overcharge, fund_paid, operator_borne
    ({"amount": 200}, CARD, ("MATCH", 200, 0, 0, 0)),
    ({"amount": 160, "transfer_flag": 1}, CARD, ("MATCH", 160, 0, 0, 40)),
    ({"amount": 160}, CARD, ("UNFLAGGED_TRANSFER", 160, 0, 0, 40)),
    ({"amount": 250}, CARD, ("OVERCHARGE", 200, 50, 0, 0)),
    ({"amount": 150}, CARD, ("UNDERCHARGE", 150, 0, 0, 50)),
    ({"amount": 100, "card_class": 1}, CARD, ("CLASS_MISMATCH", 100, 0, 0, 100)),
    ({"amount": 100, "card_class": 1}, OTHER_CARD, ("MATCH", 100, 0, 50, 50)),
    ({"amount": 200}, OTHER_CARD, ("CLASS_MISMATCH", 100, 100, 50, 50)),
    ({"amount": 90, "card_class": 1}, OTHER_CARD, ("UNDERCHARGE", 90, 0, 50, 60)),
]


@pytest.mark.parametrize(("changes", "card", "expected"), TRANSIT_PRICES)
def test_transit_prices(changes: dict[str, Any], card: str, expected: tuple[object, ...]) -> None:
    one = row("transit", card=card, balance_before=None, **changes)
    audited([one])
    found = (one.price_verdict, one.card_paid, one.overcharge, one.fund_paid, one.operator_borne)
    assert (one.status, found) == ("ACCEPTED", expected)


@pytest.mark.parametrize(("tolerance", "changes", "expected"), TOLERATED_PRICES)
def test_a_tolerance_is_for_the_verdict_and_moves_no_fen(
    tolerance: int, changes: dict[str, Any], expected: tuple[object, ...]
) -> None:
    centre = sample_centre(sample_cipher())
    centre.participants[211] = replace(centre.participants[211], price_tolerance=tolerance)
    one = row("transit", balance_before=None, **changes)
    audited([one], centre)
    assert (one.price_verdict, one.card_paid, one.overcharge, one.operator_borne) == expected


POSTINGS = [
    (
        row("transit", amount=200, card=OTHER_CARD, balance_before=None),
        "PURCHASE",
        {
            ("stored_value", 10, 0): -200,
            ("merchant_payable", 211, 0): 100,
            ("cardholder_payable", 10, 0): 100,
            ("fund_receivable", 903, 903): -50,
            ("merchant_payable", 211, 903): 50,
            ("operator_borne", 211, 0): -50,
            ("memo_contra", 1, 0): 50,
        },
    ),
    (
        row("retail", card=FOREIGN_CARD, issuer_id=FOREIGN),
        "PURCHASE_FOREIGN",
        {("counterparty_receivable", 20, 0): -200, ("merchant_payable", 500, 0): 200},
    ),
    (
        row("medical"),
        "MEDICAL",
        {
            ("stored_value", 10, 0): -200,
            ("merchant_payable", 300, 0): 200,
            ("fund_receivable", 411, 411): -500,
            ("merchant_payable", 300, 411): 500,
            ("insurer_receivable", 400, 400): -300,
            ("merchant_payable", 300, 400): 300,
        },
    ),
    (
        row("medical", txn_type=0, amount=0, cancel=1),
        "MEDICAL",
        {
            ("fund_receivable", 411, 411): 500,
            ("merchant_payable", 300, 411): -500,
            ("insurer_receivable", 400, 400): 300,
            ("merchant_payable", 300, 400): -300,
        },
    ),
    (
        row("utility", bills=[bill(1, 120), bill(2, 50)]),
        "UTILITY",
        {("stored_value", 10, 0): -200, ("merchant_payable", 611, 0): 170, ("cardholder_suspense", 10, 0): 30},
    ),
    (row("load"), "LOAD", {("agent_receivable", 701, 0): -200, ("stored_value", 10, 0): 200}),
    (
        row("load", card=FOREIGN_CARD, issuer_id=FOREIGN),
        "LOAD",
        {("agent_receivable", 701, 0): -200, ("counterparty_payable", 20, 0): 200},
    ),
    (row("benefit"), "BENEFIT_GRANT", {("fund_receivable", 901, 901): -200, ("pending_load", 901, 901): 200}),
    (
        row("retail", record_state=1),
        "HELD_DEBIT",
        {("stored_value", 10, 0): -200, ("suspense_payable", 500, 0): 200},
    ),
    (row("load", tac=1), "HELD_CREDIT", {("load_claim", 701, 0): -200, ("memo_contra", 1, 0): 200}),
    (row("transit", tac=None), "MEMO_HELD", {("held_memo", 211, 0): -200, ("memo_contra", 1, 0): 200}),
    (row("retail", tac=1), "MEMO_REJECTED", {("rejected_memo", 500, 0): -200, ("memo_contra", 1, 0): 200}),
    (row("retail", test_flag=1), "NONE", {}),
    (row("retail", amount=0, balance_after=5000), "NONE", {}),
]


@pytest.mark.parametrize(("one", "template", "expected"), POSTINGS)
def test_postings(one: Row, template: str, expected: dict[tuple[str, int, int], int]) -> None:
    result = audited([one])
    found = {account[1:]: amount for account, amount in result.balances.items()}
    assert (one.template, found) == (template, expected)


def test_unknown_payee_is_participant_0_in_memo_and_suspense() -> None:
    verified, forged = row("retail", merchant_id=4), row("retail", merchant_id=4, tac=1, card_counter=11)
    audited([verified, forged])
    assert (verified.legs[1][0], forged.legs[0][0]) == (("suspense_payable", 0, 0), ("held_memo", 0, 0))


def test_a_double_paid_bill_goes_to_suspense_in_event_order_within_a_window_and_by_window_first() -> None:
    later = row("utility", time="13:00:00", card_counter=11, terminal_counter=101, bills=[bill(1, 200)])
    earlier = row("utility", bills=[bill(1, 150), bill(2, 50)])
    late_arrival = row(
        "utility", time="08:00:00", terminal_counter=99, card_counter=9, received=NEXT_WINDOW, bills=[bill(2, 150)]
    )
    audited([late_arrival, later, earlier])
    assert (earlier.suspense, later.suspense, late_arrival.suspense) == (0, 200, 200)


def test_benefit_pick_up_clears_the_pending_load_of_the_granting_fund() -> None:
    pick_up, grant = row("load", benefit_id=55), row("benefit")
    result = audited([pick_up, grant])
    assert (pick_up.template, result.balances[TODAY, "pending_load", 901, 901]) == ("BENEFIT_PICKUP", 0)
    assert result.positions == {(TODAY, 901, 901): -200, (TODAY, 10, 0): 200}


def test_fees_are_rounded_once_per_merchant_and_window_and_shared_exactly() -> None:
    own = [row("retail", amount=333, card_counter=n, terminal_counter=n, balance_before=None) for n in range(20, 25)]
    foreign = row(
        "retail", amount=668, card=FOREIGN_CARD, issuer_id=FOREIGN, terminal_counter=30, balance_before=None
    )
    rejected = row("retail", amount=90_000, tac=1)
    result = audited([*own, foreign, rejected])
    # base 5 · 333 + 668 = 2333; 2333 · 60 / 10 000 = 13.998 → 14 = 4.2 + 7 + 2.8 → 4 + 7 + 3;
    # issuers 4 · 1665 / 2333 = 2.85, 4 · 668 / 2333 = 1.15 → 3 + 1
    assert result.fees == {(TODAY, 500): {("issuer", 10): 3, ("issuer", 20): 1, ("acquirer", 1): 7, ("centre", 1): 3}}
    assert result.closed_balances[TODAY, "merchant_payable", 500, 0] == 2333 - 14
    assert result.closed_balances[TODAY, "fee_income", 1, 0] == 10
    assert sum(result.positions.values()) == 0


HAND_CHECKED = [check for check in BEFORE_REPLAY + AFTER_REPLAY if check[0] not in ("UNREADABLE", "CARD_BLACKLISTED")]
"""The other two have tests of their own."""


@pytest.mark.parametrize("check", HAND_CHECKED, ids=lambda check: check[0])
def test_no_check_is_superfluous(check: tuple[str, Check], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one check some case comes out differently."""
    for name, checks in (("BEFORE_REPLAY", BEFORE_REPLAY), ("AFTER_REPLAY", AFTER_REPLAY)):
        monkeypatch.setattr(f"auditor.story.{name}", [one for one in checks if one != check])
    assert not all(_as_expected(case) for case in (FORM | PARTIES | REPLAY | STATE).values())


def _as_expected(case: Case) -> bool:
    try:
        audited([one for one, _ in case])
    except (KeyError, TypeError):
        return False
    return [one.status for one, _ in case] == [status for _, status in case]
