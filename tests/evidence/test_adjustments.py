"""Adjustments end to end: what each posts, who may, what is refused, and that nothing happens twice."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from clearing.calendar import seconds_of
from clearing.corrections.adjust import approve, judge, propose
from clearing.corrections.expiry import expired_benefits
from clearing.corrections.rules import RULES, Item
from clearing.engine import opened
from clearing.errors import ClearingError, RefusedError
from clearing.explain import explain, render_text
from clearing.reconcile.day import reconcile
from clearing.settlement import close_window
from clearing.verify import rebuild, verify
from evidence.centres import PASSPHRASE
from evidence.corrected import NEXT_EVENING, NEXT_NOON, Corrected, account_text, closed_centre, copied, moved_between
from evidence.handmade import Cases, Centre

TODAY = 20515
"""Window 2026-03-03, in which these corrections post."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    """Read only."""
    return closed_centre(tmp_path_factory.mktemp("closed") / "centre")


@pytest.fixture
def fresh(closed: Corrected, tmp_path: Path) -> Corrected:
    return copied(closed, tmp_path / "centre")


EXPECTED: dict[str, tuple[str, dict[str, int], dict[str, int]]] = {
    "REFUND of a part": ("retail", {"fen": 50}, {"merchant_payable 501": -50, "refund_payable 10": 50}),
    "REFUND": ("retail", {}, {"merchant_payable 501": -200, "refund_payable 10": 200}),
    "REFUND to a foreign card": ("foreign", {}, {"merchant_payable 501": -200, "counterparty_payable 20": 200}),
    "REFUND of one bill": ("utility", {"merchant": 612}, {"merchant_payable 612": -300, "refund_payable 10": 300}),
    "REFUND_OVERCHARGE": ("overcharged", {}, {"cardholder_payable 10": -60, "refund_payable 10": 60}),
    "REFUND_EXCESS": ("utility", {}, {"cardholder_suspense 10": -100, "refund_payable 10": 100}),
    "REFUND_SUSPENSE": ("suspense", {}, {"suspense_payable 501": -200, "refund_payable 10": 200}),
    "PAY_BILL": ("utility", {"payee": 613, "fen": 40}, {"cardholder_suspense 10": -40, "merchant_payable 613": 40}),
    "RELEASE": ("suspense", {}, {"suspense_payable 501": -200, "merchant_payable 501": 200}),
    "RELEASE to another payee": (
        "unknown_merchant", {"payee": 511}, {"suspense_payable 0": -200, "merchant_payable 511": 200}
    ),
    "RELEASE_UNPROVEN": (
        "unproven", {},
        {"stored_value 10": -200, "merchant_payable 501": 200, "held_memo 501": 200, "memo_contra 1": -200},
    ),
    "RELEASE_REJECTED": (
        "blacklisted", {},
        {"stored_value 10": -200, "merchant_payable 501": 200, "rejected_memo 501": 200, "memo_contra 1": -200},
    ),
    "RELEASE_LOAD": (
        "load_held", {},
        {"agent_receivable 701": -200, "stored_value 10": 200, "load_claim 701": 200, "memo_contra 1": -200},
    ),
    "TRANSFER": ("retail", {"payee": 511, "fen": 30}, {"merchant_payable 501": -30, "merchant_payable 511": 30}),
    "TRANSFER of a fund's share": (
        "student", {"payee": 221, "source": 903},
        {"merchant_payable 211 from 903": -50, "merchant_payable 221 from 903": 50},
    ),
    "REVERSE of a purchase": (
        "overcharged", {},
        {"merchant_payable 211": -200, "cardholder_payable 10": -60, "refund_payable 10": 260},
    ),
    "REVERSE of a subsidised journey": (
        "student", {},
        {"merchant_payable 211": -100, "refund_payable 10": 100, "fund_receivable 903 from 903": 50,
         "merchant_payable 211 from 903": -50, "operator_borne 211": 50, "memo_contra 1": -50},
    ),
    "REVERSE of a settlement": (
        "medical", {},
        {"merchant_payable 301": -200, "refund_payable 10": 200, "fund_receivable 411 from 411": 500,
         "merchant_payable 301 from 411": -500, "insurer_receivable 400 from 400": 300,
         "merchant_payable 301 from 400": -300},
    ),
    "REVERSE of a payment": (
        "utility", {},
        {"merchant_payable 611": -100, "merchant_payable 612": -300, "cardholder_suspense 10": -100,
         "refund_payable 10": 500},
    ),
    "REVERSE of a load": ("load", {}, {"agent_receivable 701": 200, "stored_value 10": -200}),
}  # fmt: skip
"""By hand from the rules: transaction, what is given, what moves on the accounts."""


def decide(closed: Corrected, *items: Item, window: int = TODAY, alone: bool = False) -> list[object]:
    """Legs by account, or the text of the refusal; items of one list see what those before move, unless ``alone``."""
    with opened(closed.directory, PASSPHRASE, purpose="test") as (centre, projection):
        projection.refresh(centre.journal)
        lists = [[item] for item in items] if alone else [list(items)]
        judged = [each for listed in lists for each in judge(centre, projection.store, listed, window)]
    return [
        {account_text(*account): fen for account, fen in each.decided.legs.items()}
        if each.decided is not None
        else str(each.refusal)
        for each in judged
    ]


def test_every_template_posts_what_the_rules_say(closed: Corrected) -> None:
    asked = [closed.item(name.split()[0], txn, **given) for name, (txn, given, _) in EXPECTED.items()]
    found = dict(zip(EXPECTED, decide(closed, *asked, alone=True), strict=True))

    assert found == {name: legs for name, (_, _, legs) in EXPECTED.items()}


REFUSED = {
    "more than was paid": (("REFUND", "retail", {"fen": 201}), "201 fen"),
    "nothing there": (("REFUND_EXCESS", "retail", {}), "not for service retail"),
    "a wrong TAC is never paid": (("RELEASE_REJECTED", "tac_failed", {}), "TAC_FAILED is never paid so"),
    "a rejected row": (("RELEASE", "tac_failed", {}), "rejected, TAC_FAILED"),
    "an accepted row is paid already": (("RELEASE", "retail", {}), "accepted"),
    "a held row is refunded otherwise": (("REFUND", "suspense", {}), "merchant_payable 501: nothing is left"),
    "several payees": (("REFUND", "utility", {}), "several hold its money: [611, 612]"),
    "a payee nobody knows": (("RELEASE", "unknown_merchant", {}), "0 takes no payments"),
    "a payee that takes no payments": (("RELEASE", "suspense", {"payee": 901}), "901 takes no payments"),
    "to oneself": (("TRANSFER", "retail", {"payee": 501}), "it would move nothing"),
    "a cancellation": (("REVERSE", "cancelled", {}), "itself a cancellation"),
    "grey until its deadline": (("RELEASE_UNPROVEN", "grey", {}), "later records may decide"),
    "no policy to write off": (("WRITE_OFF_SUSPENSE", "suspense", {}), "no policy of the day"),
    "benefits that do not expire": (("BENEFIT_EXPIRED", "grant", {}), "do not expire"),
    "part of a reversal": (("REVERSE", "retail", {"fen": 10}), "takes back everything, 200 fen"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_rule(closed: Corrected, name: str) -> None:
    (template, txn, given), why = REFUSED[name]

    assert why in str(decide(closed, closed.item(template, txn, **given))[0])


def test_refunds_of_one_transaction_sum_to_at_most_what_was_paid(closed: Corrected) -> None:
    first, second, third = decide(
        closed,
        closed.item("REFUND", "retail", fen=150),
        closed.item("REFUND", "retail", fen=51),
        closed.item("REFUND", "retail", fen=50),
    )
    assert first == {"merchant_payable 501": -150, "refund_payable 10": 150}
    assert "51 fen of merchant_payable 501, where the transaction has 50" in str(second)
    assert third == {"merchant_payable 501": -50, "refund_payable 10": 50}


def test_a_reversal_after_a_refund_takes_back_the_rest_only(closed: Corrected) -> None:
    found = decide(
        closed,
        closed.item("REFUND", "retail", fen=50),
        closed.item("REVERSE", "retail"),
        closed.item("REVERSE", "retail"),
        closed.item("REFUND", "retail"),
    )
    assert found[1] == {"merchant_payable 501": -150, "refund_payable 10": 150}
    assert "reversed already" in str(found[2])
    assert "nothing is left" in str(found[3])


def test_a_reversal_never_refunds_again_what_was_paid_out(closed: Corrected) -> None:
    found = decide(
        closed,
        closed.item("REFUND", "overcharged", fen=150),
        closed.item("REFUND_CASH", "overcharged", payer=701),
        closed.item("REVERSE", "overcharged"),
        closed.item("REFUND", "foreign", fen=150),
        closed.item("REVERSE", "foreign"),
        closed.item("REFUND", "retail", fen=120),
        closed.item("REFUND_LOADED", "load", linked_txn_id=closed.txn["retail"]),
        closed.item("REVERSE", "load"),
        closed.item("REVERSE", "retail"),
    )
    assert found[2] == {"merchant_payable 211": -50, "cardholder_payable 10": -60, "refund_payable 10": 110}
    assert found[4] == {"merchant_payable 501": -50, "counterparty_payable 20": 50}
    assert "the load has paid a refund" in str(found[7])
    assert found[8] == {"merchant_payable 501": -80, "refund_payable 10": 80}


def test_a_released_row_can_be_refunded_after_all(closed: Corrected) -> None:
    _, refund, more = decide(
        closed,
        closed.item("RELEASE", "suspense"),
        closed.item("REFUND", "suspense", fen=70),
        closed.item("REFUND", "suspense", fen=131),
    )
    assert refund == {"merchant_payable 501": -70, "refund_payable 10": 70}
    assert "131 fen of merchant_payable 501, where the transaction has 130" in str(more)


def test_of_two_rows_in_conflict_one_is_paid(fresh: Corrected) -> None:
    fresh.adjust(fresh.item("RELEASE", "one"))

    assert "only one of the two can be" in str(decide(fresh, fresh.item("RELEASE", "other"))[0])


def test_a_load_pays_a_refund(closed: Corrected) -> None:
    found = decide(
        closed,
        closed.item("REFUND", "retail", fen=120),
        closed.item("REFUND_LOADED", "load", linked_txn_id=closed.txn["retail"], fen=121),
        closed.item("REFUND_LOADED", "load", linked_txn_id=closed.txn["retail"], fen=120),
        closed.item("REFUND_LOADED", "load", fen=120),
    )
    assert "120" in str(found[1])
    assert found[2] == {"refund_payable 10": -120, "agent_receivable 701": 120}
    assert "whose refund" in str(found[3])


def test_an_agent_pays_a_refund_in_cash(closed: Corrected) -> None:
    found = decide(
        closed,
        closed.item("REFUND_CASH", "retail", payer=701),
        closed.item("REFUND", "retail", fen=120),
        closed.item("REFUND_CASH", "retail", payer=501),
        closed.item("REFUND_CASH", "retail", payer=701),
        closed.item("REFUND_CASH", "retail", payer=701),
    )
    assert "refund_payable 10: nothing is left" in str(found[0])
    assert "501 is no load agent" in str(found[2])
    assert found[3] == {"refund_payable 10": -120, "agent_receivable 701": 120}
    assert "nothing is left" in str(found[4])


def test_between_participants(closed: Corrected) -> None:
    given = {"payer": 501, "payee": 511, "fen": 7}
    claim, fee, itself, nobody, unnamed = decide(
        closed,
        Item("CLAIM", "test", **given),
        Item("FEE_RETURN", "test", payer=1, payee=501, fen=3),
        Item("CLAIM", "test", payer=501, payee=501, fen=7),
        Item("CLAIM", "test", payer=77, payee=501, fen=7),
        Item("CLAIM", "test", payer=501, payee=511),
    )
    assert claim == {"merchant_payable 501": -7, "merchant_payable 511": 7}
    assert fee == {"fee_income 1": -3, "merchant_payable 501": 3}
    assert "payer and payee are one" in str(itself)
    assert "77 is no participant" in str(nobody)
    assert "no amount" in str(unnamed)


def test_aged_suspense_is_written_off_within_dated_limits(fresh: Corrected) -> None:
    terms = (
        "write_offs: [{account: suspense_payable, from: 2026-01-01, to: 2026-12-31, after_days: 180, max_fen: 150}]"
    )
    _policy(fresh, terms)
    item = fresh.item("WRITE_OFF_SUSPENSE", "suspense", fen=150)
    received = TODAY - 1
    early, due, above, later = (
        decide(fresh, each, window=received + days)[0]
        for each, days in (
            (item, 179), (item, 180), (fresh.item("WRITE_OFF_SUSPENSE", "suspense"), 180), (item, 400),
        )
    )  # fmt: skip
    assert "open for 179 days, not 180" in str(early)
    assert due == {"suspense_payable 501": -150, "written_off 1": 150}
    assert "200 fen are above 150" in str(above)
    assert "no policy of the day" in str(later)


def test_benefits_that_nobody_picked_up_go_back_to_their_fund(fresh: Corrected) -> None:
    _policy(fresh, "benefit_expiry: [{from: 2026-01-01, to: 2099-12-31, after_days: 90}]")
    received = TODAY - 1
    grant, taken = fresh.item("BENEFIT_EXPIRED", "grant"), fresh.item("BENEFIT_EXPIRED", "grant_taken")

    assert "open for 90 days of 90" in str(decide(fresh, grant, window=received + 90)[0])
    assert decide(fresh, grant, window=received + 91)[0] == {
        "pending_load 901 from 901": -200,
        "fund_receivable 901 from 901": 200,
    }
    assert "picked up by" in str(decide(fresh, taken, window=received + 91)[0])
    # 2026-06-01 is received + 91; the day before, nothing is due.
    for clock, due in (("2026-06-01T03:00:00", []), ("2026-06-01T05:00:00", [grant.txn_id])):
        found = expired_benefits(fresh.directory, passphrase=PASSPHRASE, now=seconds_of(clock))
        assert [each.txn_id for each in found] == due
    fresh.adjust(*found, now="2026-06-01T05:00:00")
    assert expired_benefits(fresh.directory, passphrase=PASSPHRASE, now=seconds_of("2026-06-01T06:00:00")) == []
    # The fund's claim is less, with nothing but the correction to prove it: the day closes and ties.
    closed = close_window(
        fresh.directory, date(2026, 6, 1), passphrase=PASSPHRASE, now=seconds_of("2026-06-02T05:00:00")
    )
    assert [(claim["fund"], claim["rows"], claim["fen"]) for claim in closed.claims] == [(901, 1, -200)]
    assert verify(fresh.directory, PASSPHRASE) == []


def test_a_pick_up_that_arrives_after_the_benefit_expired_is_named_until_the_expiry_is_undone(tmp_path: Path) -> None:
    """The card has the money, so the fund owes it: nobody may forget to claim it again."""
    centre = Centre.create(tmp_path / "centre")
    grant, pickup = Cases(centre).read(
        """
        benefit                                                                  ACCEPTED
          load benefit_id=BENEFIT date=2026-03-03 received=03-08T12:00:00        ACCEPTED
        """
    )
    centre.deliver([grant])
    centre.run("2026-03-03T05:00:00")
    _close(centre, date(2026, 3, 2))
    corrected = Corrected(centre, {}, {})
    _policy(corrected, "benefit_expiry: [{from: 2026-01-01, to: 2099-12-31, after_days: 2}]")
    clock = "2026-03-06T12:00:00"
    expired = expired_benefits(centre.directory, passphrase=PASSPHRASE, now=seconds_of(clock))
    corrected.adjust(*expired, now=clock)
    assert _named(centre) == []

    centre.deliver([pickup])
    centre.run("2026-03-08T13:00:00")
    assert set(centre.decisions().values()) == {"ACCEPTED"}
    [row] = _named(centre)
    assert (row["participant"], row["fen"]) == (901, 200)

    corrected.adjust(Item("UNDO", "the card had it in time", undoes=row["adjustment"]), now="2026-03-08T14:00:00")
    assert _named(centre) == []
    assert {account: fen for account, fen in corrected.trial_balance().items() if fen} == {
        "stored_value 10": 200,
        "fund_receivable 901 from 901": -200,
    }
    for day in (6, 8):
        _close(centre, date(2026, 3, day))
    assert verify(centre.directory, PASSPHRASE) == []


def _named(centre: Centre) -> list[dict[str, Any]]:
    """What the check of expired benefits says."""
    found = reconcile(centre.directory, date(2026, 3, 8))
    return next(each.findings for each in found.checks if each.check.name == "expired_benefits_picked_up")


def _close(centre: Centre, window: date) -> None:
    now = seconds_of(f"{window + timedelta(1)}T05:00:00")
    close_window(centre.directory, window, passphrase=PASSPHRASE, now=now)


def _policy(corrected: Corrected, terms: str) -> None:
    path = corrected.directory / "centre.yaml"
    text = path.read_text("utf-8")
    assert "  dispositions: {}" in text
    path.write_text(text.replace("  dispositions: {}", f"  dispositions: {{}}\n  {terms}"), "utf-8")


def test_two_persons_post_one_linked_entry(fresh: Corrected) -> None:
    before = fresh.trial_balance()

    outcome = fresh.adjust(fresh.item("REFUND", "retail", fen=50), fresh.item("REVERSE", "overcharged"))

    assert moved_between(before, fresh.trial_balance()) == {
        "merchant_payable 501": -50, "merchant_payable 211": -200, "cardholder_payable 10": -60,
        "refund_payable 10": 310,
    }  # fmt: skip
    told = explain(fresh.directory, str(fresh.txn["overcharged"]), passphrase=PASSPHRASE, language="en")
    [correction] = told.corrections
    assert (correction.what, correction.fen, correction.persons) == ("REVERSE", 260, ("reconciler", "approver.a"))
    assert {(leg.account, leg.credit - leg.debit) for leg in correction.legs} == {
        ("merchant_payable", -200), ("cardholder_payable", -60), ("refund_payable", 260),
    }  # fmt: skip
    assert "Reversal of the whole transaction" in render_text(told)
    listed = fresh.centre.query(
        'SELECT txn_id, template, fen, proposer, approver, "window"::VARCHAR FROM adjustments'
    )
    assert listed == [
        (fresh.txn["retail"], "REFUND", 50, "reconciler", "approver.a", "2026-03-03"),
        (fresh.txn["overcharged"], "REVERSE", 260, "reconciler", "approver.a", "2026-03-03"),
    ]
    assert not list((fresh.directory / "corrections").iterdir())
    assert verify(fresh.directory, PASSPHRASE) == []
    assert rebuild(fresh.directory, PASSPHRASE) == outcome.entry
    assert verify(fresh.directory, PASSPHRASE) == []


@pytest.mark.parametrize(
    ("by", "and_by", "why"),
    [
        ("reconciler", "reconciler", "does not hold the role approver"),
        ("approver.a", "approver.b", "does not hold the role reconciler"),
        ("reconciler", "auditor", "does not hold the role approver"),
    ],
)
def test_others_than_these_two_roles_are_refused(fresh: Corrected, by: str, and_by: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        fresh.adjust(fresh.item("REFUND", "retail"), by=by, and_by=and_by)
    assert fresh.centre.query("SELECT COUNT(*) FROM adjustments") == [(0,)]


def test_one_person_with_both_roles_cannot_do_both(fresh: Corrected) -> None:
    path = fresh.directory / "centre.yaml"
    path.write_text(path.read_text("utf-8").replace("[reconciler, intake]", "[reconciler, approver]"), "utf-8")

    with pytest.raises(RefusedError, match="reconciler has already acted"):
        fresh.adjust(fresh.item("REFUND", "retail"), and_by="reconciler")


def test_a_proposal_is_posted_once_and_as_it_was_signed(fresh: Corrected) -> None:
    clock = seconds_of(NEXT_NOON)
    asked = propose(
        fresh.directory, [fresh.item("REFUND", "retail", fen=50)], passphrase=PASSPHRASE,
        by=fresh.signer("reconciler"), now=clock,
    )  # fmt: skip
    path = fresh.directory / "corrections" / f"{asked.proposal}.json"
    kept = path.read_bytes()
    document = json.loads(kept)
    document["content"]["items"][0]["fen"] = 60
    path.write_text(json.dumps(document))

    def second() -> None:
        assert asked.proposal is not None
        by = fresh.signer("approver.a")
        approve(fresh.directory, asked.proposal, passphrase=PASSPHRASE, by=by, now=seconds_of(NEXT_EVENING))

    with pytest.raises(ClearingError, match="was changed"):
        second()
    path.write_bytes(kept)
    second()
    with pytest.raises(ClearingError, match="no such proposal"):
        second()
    path.write_bytes(kept)
    with pytest.raises(RefusedError, match="posted already"):
        second()
    assert fresh.centre.query("SELECT SUM(fen)::BIGINT FROM adjustments") == [(50,)]


def test_a_forged_pair_of_signatures_is_found(fresh: Corrected) -> None:
    """Whoever holds the centre's key can seal an entry, but not sign for its people."""
    outcome = fresh.adjust(fresh.item("REFUND", "retail", fen=50))
    with opened(fresh.directory, PASSPHRASE, purpose="test") as (centre, _):
        body = json.loads(json.dumps(centre.journal.entries[(outcome.entry or 0) - 1].body))
        body["items"][0] |= {"fen": 90, "adjustment": "A0-1"}
        centre.journal.append("adjustment", body, at=seconds_of(NEXT_EVENING), key=centre.signing)
        body["items"][0] |= {"fen": 50, "adjustment": "A0-2"}
        body["signatures"][1]["person"] = "approver.b"
        centre.journal.append("adjustment", body, at=seconds_of(NEXT_EVENING), key=centre.signing)

    found = [each.what for each in verify(fresh.directory, PASSPHRASE)]

    assert "what was posted is not what was proposed" in found
    assert "the signature is not by the key of approver.b" in found
    assert found.count("its proposal was posted before: one decision, money twice") == 2


def test_an_adjustment_is_undone_once(fresh: Corrected) -> None:
    before = fresh.trial_balance()
    fresh.adjust(fresh.item("RELEASE", "suspense"))
    [(name,)] = fresh.centre.query("SELECT adjustment FROM adjustments")

    fresh.adjust(Item("UNDO", "wrong row", undoes=name))

    assert moved_between(before, fresh.trial_balance()) == {}
    with pytest.raises(RefusedError, match="undone already"):
        fresh.adjust(Item("UNDO", "again", undoes=name))
    assert verify(fresh.directory, PASSPHRASE) == []


def test_what_moved_on_is_not_undone(fresh: Corrected) -> None:
    fresh.adjust(fresh.item("TRANSFER", "retail", payee=511))
    [(name,)] = fresh.centre.query("SELECT adjustment FROM adjustments")
    fresh.adjust(fresh.item("REFUND", "retail", merchant=511))

    with pytest.raises(RefusedError, match="where the transaction has 0"):
        fresh.adjust(Item("UNDO", "too late", undoes=name))


def test_an_open_window_is_still_the_engines(tmp_path: Path) -> None:
    centre = Centre.create(tmp_path / "centre")
    lines = Cases(centre).read("retail ACCEPTED")
    centre.deliver(lines)
    centre.run("2026-03-03T05:00:00")
    corrected = Corrected(centre, {"retail": (1 << 32) + 1}, {})

    assert "window 2026-03-02 is not closed" in str(decide(corrected, corrected.item("REFUND", "retail"))[0])


def test_a_closed_window_takes_no_correction(fresh: Corrected) -> None:
    with pytest.raises(RefusedError, match="window 2026-03-02 is closed"):
        fresh.adjust(fresh.item("REFUND", "retail"), now="2026-03-02T23:00:00")


def test_every_rule_is_tried_here() -> None:
    """A template without a hand-computed case would be a template nobody checked."""
    elsewhere = {
        "REFUND_LOADED", "REFUND_CASH", "FEE_RETURN", "CLAIM", "UNDO", "WRITE_OFF_SUSPENSE", "BENEFIT_EXPIRED",
        *(name for name, rule in RULES.items() if rule.subject == "card"),
        *(name for name, rule in RULES.items() if rule.subject == "bank_line"),
        "WRITE_OFF_EXCESS", "WRITE_OFF_OVERCHARGE",
    }  # fmt: skip
    assert set(RULES) - {name.split()[0] for name in EXPECTED} == elsewhere


def test_an_overpayment_is_netted_from_the_next_order(closed: Corrected, tmp_path: Path) -> None:
    """A refund of what was already proposed to be paid lowers the merchant's next payment by itself."""
    paid = {}
    for name, refund in (("with", 50), ("without", 0)):
        corrected = copied(closed, tmp_path / name)
        line = Cases(corrected.centre).line(
            "retail",
            received="03-03T12:00:00",
            date="2026-03-03",
            card_counter=11,
            terminal_counter=101,
            time="11:00:00",
        )
        corrected.centre.send([line], sequence=900, file="later.parquet")
        if refund:
            corrected.adjust(corrected.item("REFUND", "retail", fen=refund))
        corrected.centre.run("2026-03-04T05:00:00")
        summary = close_window(
            corrected.directory, date(2026, 3, 3), passphrase=PASSPHRASE, now=seconds_of("2026-03-04T05:00:00")
        )
        [paid[name]] = [each["fen"] for each in summary.payments if each["participant"] == 501]
        assert corrected.centre.query("SELECT COUNT(*) FROM windows") == [(2,)]

    assert paid["without"] - paid["with"] == 50
