"""Card accounts: statement, states, money of a card itself, blacklist hits."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearing.calendar import day_number, seconds_of
from clearing.card_accounts.account import card_subject
from clearing.card_accounts.change import approve_state, propose_state
from clearing.card_accounts.hits import blacklist_hits
from clearing.card_accounts.statement import card_statement
from clearing.card_accounts.states import StateRow, state_document
from clearing.config import load_settings
from clearing.corrections.adjust import judge
from clearing.corrections.commit import post
from clearing.corrections.persons import check_signed, signed
from clearing.corrections.rules import Item
from clearing.engine import opened
from clearing.errors import ClearingError, RefusedError
from clearing.explain import explain
from clearing.report.citizen import citizen_document
from clearing.report.typeset import pdf
from clearing.verify import verify
from evidence.centres import PASSPHRASE
from evidence.corrected import AFTER_CLOSE, NEXT_NOON, Corrected, account_text, closed_centre, copied, moved_between
from evidence.handmade import Cases, Centre

DAY = day_number(datetime.date(2026, 3, 3))
POLICY = """
  card_refunds: [{from: 2026-01-01, to: 2099-12-31, after_days: 15}]
  write_offs: [{account: stored_value, from: 2026-01-01, to: 2099-12-31, after_days: 60, max_fen: 50000}]
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    """Read only."""
    made = closed_centre(tmp_path_factory.mktemp("closed") / "centre")
    path = made.directory / "centre.yaml"
    text = path.read_text("utf-8").replace("  dispositions: {}", f"  dispositions: {{}}{POLICY}")
    path.write_text(text, "utf-8")
    return made


@pytest.fixture
def fresh(closed: Corrected, tmp_path: Path) -> Corrected:
    return copied(closed, tmp_path / "centre")


def statement(closed: Corrected, name: str) -> Any:
    return card_statement(closed.directory, closed.lines[name].card, passphrase=PASSPHRASE)


def card_id(closed: Corrected, name: str) -> int:
    return int(statement(closed, name).card_id, 16)


def decide(closed: Corrected, *items: Item, day: int = DAY) -> list[object]:
    """Each alone."""
    with opened(closed.directory, PASSPHRASE, purpose="test") as (centre, projection):
        projection.refresh(centre.journal)
        judged = [judge(centre, projection.store, [item], day)[0] for item in items]
    return [
        {account_text(*account): fen for account, fen in each.decided.legs.items()}
        if each.decided is not None
        else str(each.refusal)
        for each in judged
    ]


def test_a_statement_is_masked_and_complete(closed: Corrected) -> None:
    told = statement(closed, "overcharged")

    assert closed.lines["overcharged"].card not in str(told)
    assert told.card == closed.lines["overcharged"].card[:6] + "****" + closed.lines["overcharged"].card[-4:]
    assert (told.state, told.deposit_fen, told.refund_due_fen) == ("issued", 0, 60)
    [row] = told.transactions
    assert (row["amount"], row["balance_after"], row["status"]) == (260, 49_740, "ACCEPTED")
    [purse] = told.purses
    assert (purse["opening"], purse["card"], purse["shadow"], purse["unseen"]) == (50_000, 49_740, 49_740, 0)
    assert [(each["kind"], each["fen"]) for each in told.open_items] == [("cardholder_payable", 60)]


def test_a_pickup_is_a_benefit_of_the_statement(closed: Corrected) -> None:
    told = statement(closed, "grant_taken")
    assert [(each["granted"], each["picked_up"]) for each in told.benefits] == [(200, 1)]
    assert statement(closed, "grant").benefits[0]["picked_up"] == 0


def test_held_and_conflicting_rows_do_not_move_the_shadow_twice(closed: Corrected) -> None:
    told = statement(closed, "unproven")
    assert told.purses == []
    assert [(each["kind"], each["fen"]) for each in told.open_items] == [("held_memo", -200)]


def test_the_period_leaves_transactions_out_and_nothing_else(closed: Corrected) -> None:
    number = closed.lines["overcharged"].card
    later = datetime.date(2026, 3, 3)
    told = card_statement(closed.directory, number, passphrase=PASSPHRASE, since=later)
    assert told.transactions == []
    assert told.purses[0]["card"] == 49_740


def test_an_unknown_card_is_said_to_be_unknown(closed: Corrected) -> None:
    with pytest.raises(ClearingError, match="knows no such card") as told:
        card_statement(closed.directory, "3104770990000000001", passphrase=PASSPHRASE)
    assert "3104770990000000001" not in str(told.value)


def test_the_command_reads_the_number_from_standard_input(closed: Corrected, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    arguments = ["card", str(closed.directory), "--json", "--passphrase-file", str(secret)]
    done = subprocess.run(
        [sys.executable, "-c", "from clearing.cli import main; main()", *arguments],
        input=closed.lines["overcharged"].card + "\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refund_due_fen"] == 60


def test_the_bills_of_a_household_stand_together_by_month(fresh: Corrected) -> None:
    """Two cards of one household: both statements show the bills, one as its own; a stranger's shows none."""
    path = fresh.directory / "registers" / "cards.parquet"
    table = pq.read_table(path)
    payer, other = card_id(fresh, "utility"), card_id(fresh, "overcharged")
    owner = [payer if card in (payer, other) else None for card in table.column("card_id").to_pylist()]
    pq.write_table(table.append_column("owner_id", pa.array(owner, pa.uint64())), path)
    own, shared = statement(fresh, "utility").household, statement(fresh, "overcharged").household

    assert [bill["own"] for month in own for bill in month["bills"]] == [True, True]
    assert [bill["own"] for month in shared for bill in month["bills"]] == [False, False]
    assert sum(month["total_fen"] for month in shared) == 400
    assert [sum(month["commodities"].values()) == month["total_fen"] for month in own] == [True] * len(own)
    assert {(bill["utility"], bill["fen"]) for month in own for bill in month["bills"]} == {(611, 100), (612, 300)}
    assert statement(fresh, "student").household == []
    number = fresh.lines["utility"].card
    later = datetime.date(2099, 1, 1)
    assert card_statement(fresh.directory, number, passphrase=PASSPHRASE, since=later).household == []


WORDS = {
    "zh": ("市民卡对账单", "家庭合并账单", "肆元整"),
    "en": ("Card statement", "Combined household bill"),
}


@pytest.mark.parametrize("language", WORDS)
def test_the_statement_is_typeset_without_the_number(closed: Corrected, language: str) -> None:
    told = statement(closed, "utility")
    document = citizen_document(told, load_settings(closed.directory), language)  # type: ignore[arg-type]
    shown = str(document)

    assert all(word in shown for word in WORDS[language]), shown
    assert closed.lines["utility"].card not in shown
    assert pdf(document).startswith(b"%PDF")


def test_states_go_on_by_rule(fresh: Corrected) -> None:
    card, other = card_id(fresh, "retail"), card_id(fresh, "load")

    def go(state: str, since: int, replaced_by: int | None = None) -> None:
        fresh.state(StateRow(card, state, since, replaced_by))

    go("lost", DAY)
    with pytest.raises(RefusedError, match="name a day not before it"):
        go("issued", DAY - 1)
    with pytest.raises(RefusedError, match="names the card in its place"):
        go("replaced", DAY + 1)
    go("replaced", DAY + 1, other)
    with pytest.raises(RefusedError, match="it may become closed"):
        go("issued", DAY + 2)
    go("closed", DAY + 2)
    with pytest.raises(RefusedError, match="no other state"):
        go("issued", DAY + 3)
    told = statement(fresh, "retail")
    assert [each["state"] for each in told.states] == ["lost", "replaced", "closed"]
    assert {(each["reason"], *each["persons"]) for each in told.states} == {("test", "reconciler", "approver.a")}
    assert verify(fresh.directory, PASSPHRASE) == []


def test_a_state_is_by_two_persons_and_once(fresh: Corrected) -> None:
    card, clock = card_id(fresh, "retail"), seconds_of(NEXT_NOON)
    lost = StateRow(card, "lost", DAY)

    def proposed(change: StateRow) -> str:
        by = fresh.signer("reconciler")
        return propose_state(
            fresh.directory, change, reason="hotline", passphrase=PASSPHRASE, by=by, now=clock
        ).proposal

    def approved(name: str, person: str) -> int | None:
        by = fresh.signer(person)
        return approve_state(fresh.directory, name, passphrase=PASSPHRASE, by=by, now=clock).entry

    name = proposed(lost)
    assert statement(fresh, "retail").state == "issued"
    with pytest.raises(RefusedError, match="does not hold the role approver"):
        approved(name, "reconciler")
    kept = fresh.directory / "corrections" / f"{name}.json"
    document = kept.read_bytes()
    before = fresh.trial_balance()
    entry = approved(name, "approver.a")
    assert (statement(fresh, "retail").state, fresh.trial_balance()) == ("lost", before)
    kept.write_bytes(document)
    with pytest.raises(RefusedError, match="posted already"):
        approved(name, "approver.b")
    kept.unlink()

    # A step that was possible when it was proposed is decided again when it is approved.
    late = proposed(StateRow(card, "issued", DAY + 1))
    fresh.state(StateRow(card, "closed", DAY + 1))
    with pytest.raises(RefusedError, match="no other state"):
        approved(late, "approver.b")
    with pytest.raises(RefusedError, match="no reason"):
        propose_state(
            fresh.directory, lost, reason=" ", passphrase=PASSPHRASE, by=fresh.signer("reconciler"), now=clock
        )

    told = explain(fresh.directory, str(fresh.txn["retail"]), passphrase=PASSPHRASE, language="en")
    states = [each for each in told.corrections if each.kind == "card_state"]
    assert [(each.what, each.state, each.reason, each.persons) for each in states] == [
        ("lost", "2026-03-03", "hotline", ("reconciler", "approver.a")),
        ("closed", "2026-03-04", "test", ("reconciler", "approver.a")),
    ]
    assert states[0].entry.sequence == entry


def test_an_audit_finds_a_state_nobody_may_record(fresh: Corrected) -> None:
    """Two persons sign, the engine is bypassed: the entry is found, and so is one with a changed state."""
    card = card_id(fresh, "retail")
    fresh.state(StateRow(card, "closed", DAY))
    with opened(fresh.directory, PASSPHRASE, purpose="test") as (centre, projection):
        entry = next(centre.journal.of_kind("card_state"))
        at = seconds_of(NEXT_NOON) + 60
        item = {**state_document(StateRow(card, "issued", DAY + 1)), "reason": "reopened"}
        content = {"kind": "card_state", "at": at, "after": entry.sequence, "items": [item]}
        proposal = signed(centre, content, fresh.signer("reconciler"), at)
        signatures = check_signed(centre, proposal, fresh.signer("approver.b"), at)
        forged = {"proposal": proposal.digest, "proposed": content, "signatures": signatures}
        for number, state in enumerate(("issued", "lost"), 1):
            items = [{"change": f"S0-{number}", **item, "state": state}]
            post(centre, projection, "card_state", {**forged, "items": items}, [], DAY, at)
    found = [finding.what for finding in verify(fresh.directory, PASSPHRASE)]
    assert sorted(found) == sorted(
        [
            f"state of card {card:016x}: the card is closed",
            "its proposal was posted before: one decision, money twice",
            "what was posted is not what was proposed",
        ]
    )


def test_balance_of_a_lost_card_after_the_waiting_period(fresh: Corrected) -> None:
    card = card_id(fresh, "retail")
    refund = Item("CARD_REFUND", "lost", card_id=card)
    assert "the card is issued" in str(decide(fresh, refund)[0])
    fresh.state(StateRow(card, "lost", DAY))

    early, due = decide(fresh, refund, day=DAY + 14)[0], decide(fresh, refund, day=DAY + 15)[0]
    assert "lost for 14 days, not 15" in str(early)
    assert due == {"stored_value 10": -49_800, "refund_payable 10": 49_800}
    above = Item("CARD_REFUND", "lost", card_id=card, fen=49_801)
    assert "49801 fen, where 49800 are there" in str(decide(fresh, above, day=DAY + 15)[0])

    # Given back once: the first takes the balance with it; the load that pays it can be named once, too.
    before = fresh.trial_balance()
    fresh.adjust(refund, now="2026-03-20T12:00:00")
    assert "there is nothing to move" in str(decide(fresh, refund, day=DAY + 20)[0])
    on_another_card = Item("REFUND_LOADED", "on the new card", txn_id=fresh.txn["load"], card_id=card, fen=200)
    fresh.adjust(on_another_card, now="2026-03-20T13:00:00")
    assert moved_between(before, fresh.trial_balance()) == {
        "stored_value 10": -49_800, "refund_payable 10": 49_600, "agent_receivable 701": 200,
    }  # fmt: skip
    assert statement(fresh, "retail").refund_due_fen == 49_600
    [(name,)] = fresh.centre.query("SELECT adjustment FROM adjustments WHERE template = 'CARD_REFUND'")
    with pytest.raises(RefusedError, match="where the card has 49600"):
        fresh.adjust(Item("UNDO", "too late", undoes=name), now="2026-03-20T14:00:00")
    cash = Item("CARD_REFUND_CASH", "at the counter", card_id=card, payer=702, fen=600)
    assert decide(fresh, cash, day=DAY + 20)[0] == {"refund_payable 10": -600, "agent_receivable 702": 600}
    assert verify(fresh.directory, PASSPHRASE) == []


def test_a_replaced_cards_balance_goes_to_the_new_card(fresh: Corrected) -> None:
    card, other = card_id(fresh, "retail"), card_id(fresh, "load")
    fresh.state(StateRow(card, "replaced", DAY, other))
    assert decide(fresh, Item("BALANCE_TRANSFER", "replaced", card_id=card), day=DAY + 15)[0] == {
        "stored_value 10": -49_800, "refund_payable 10": 49_800,
    }  # fmt: skip


def test_residue_of_a_closed_card(fresh: Corrected) -> None:
    card = card_id(fresh, "retail")
    residue = Item("RESIDUE_TO_INCOME", "closed", card_id=card)
    fresh.state(StateRow(card, "closed", DAY))
    assert "open for 59 days, not 60" in str(decide(fresh, residue, day=DAY + 59)[0])
    assert decide(fresh, residue, day=DAY + 60)[0] == {"stored_value 10": -49_800, "written_off 1": 49_800}


def test_deposits_and_overdraft(fresh: Corrected) -> None:
    card = card_id(fresh, "retail")
    taken = Item("CARD_DEPOSIT", "new card", card_id=card, fen=2000, payer=701)
    assert decide(fresh, taken)[0] == {"agent_receivable 701": -2000, "card_deposit 10": 2000}
    assert "there is nothing to move" in str(decide(fresh, Item("CARD_DEPOSIT_BACK", "back", card_id=card))[0])
    fresh.adjust(taken)
    assert statement(fresh, "retail").deposit_fen == 2000
    assert decide(fresh, Item("CARD_DEPOSIT_BACK", "back", card_id=card))[0] == {
        "card_deposit 10": -2000, "refund_payable 10": 2000,
    }  # fmt: skip
    assert "there is nothing to move" in str(decide(fresh, Item("OVERDRAFT_USED", "below", card_id=card))[0])


def test_a_purse_below_zero_is_an_overdraft(tmp_path: Path) -> None:
    from evidence.handmade import Cases, Centre

    centre = Centre.create(tmp_path / "centre")
    centre.deliver(Cases(centre).read("retail balance_before=100 overdraft_limit=500 ACCEPTED"))
    centre.run("2026-03-03T05:00:00")
    [(card,)] = centre.query("SELECT card_id FROM decisions")
    corrected = Corrected(centre, {}, {})

    used = Item("OVERDRAFT_USED", "below", card_id=card)
    assert decide(corrected, used)[0] == {"overdraft 10": -100, "stored_value 10": 100}
    corrected.adjust(used)
    with opened(centre.directory, PASSPHRASE, purpose="test") as (opened_centre, projection):
        assert card_subject(opened_centre, projection.store, card, DAY).available("owed") == 100
    assert "there is nothing to move" in str(decide(corrected, used)[0])
    repaid, lost, more = decide(
        corrected,
        Item("OVERDRAFT_REPAID", "by a load", card_id=card, fen=40),
        Item("OVERDRAFT_WRITTEN_OFF", "never seen again", card_id=card),
        Item("OVERDRAFT_WRITTEN_OFF", "too much", card_id=card, fen=101),
    )
    assert repaid == {"stored_value 10": -40, "overdraft 10": 40}
    assert lost == {"overdraft 10": 100, "overdraft_loss 1": -100}
    assert "101 fen, where 100" in str(more)


HITS = """
retail card=blacklisted                                  CARD_BLACKLISTED
retail card=grace                                        ACCEPTED
retail card=blacklisted time=11:59:59                    ACCEPTED
retail card=blacklisted date=2026-03-01 time=11:59:59    ACCEPTED
transit card=grace time=13:00:00                         CARD_BLACKLISTED
retail                                                   ACCEPTED
"""
"""Listed on 1 March 12:00:00, with a day of grace; the third is within it, the fourth before the list."""


def test_blacklist_hits_by_terminal_before_and_after_the_grace(tmp_path: Path) -> None:
    from evidence.handmade import Cases, Centre

    centre = Centre.create(tmp_path / "centre")
    lines = Cases(centre).read(HITS)
    centre.deliver(lines)
    centre.run("2026-03-03T05:00:00")
    assert [centre.decisions()[line.place] for line in lines] == [line.expected for line in lines]

    found = [
        (each["merchant"], each["within_grace"], each["disposition"], each["uses"], each["fen"])
        for each in blacklist_hits(centre.directory)
    ]
    assert sorted(found) == [
        (211, False, "rejected", 1, 200),
        (501, False, "rejected", 1, 200),
        (501, True, "accepted", 2, 400),
    ]


def test_a_row_that_names_another_issuer_takes_no_card_from_its_own(tmp_path: Path) -> None:
    """Found by a simulated month: a deposit could not be given back once a bad row had named the card."""
    made = Centre.create(tmp_path / "centre")
    lines = Cases(made).read("retail ACCEPTED\n  retail issuer_id=99 UNKNOWN_ISSUER")
    made.deliver(lines)
    made.run(AFTER_CLOSE)
    [(card,)] = made.query("SELECT DISTINCT card_id FROM decisions WHERE disposition = 1")
    with opened(made.directory, PASSPHRASE, purpose="test") as (centre, projection):
        projection.refresh(centre.journal)
        assert card_subject(centre, projection.store, card, DAY).issuer == 10
