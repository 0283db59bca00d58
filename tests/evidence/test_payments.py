"""From proposal to order: who may approve, what an order posts, what its files say."""

from __future__ import annotations

import datetime
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from clearing.calendar import seconds_of
from clearing.errors import RefusedError
from clearing.explain import explain, render_text
from clearing.initialise import people_folder
from clearing.settlement import Proposer, close_window
from clearing.verify import rebuild, verify
from evidence.centres import PASSPHRASE
from evidence.paying import FUND, METRO_BUS, SHOP, Move, Paying, camt, pain002

NAMESPACE = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}


def test_a_proposal_names_what_is_due_and_what_waits(proposed: Paying) -> None:
    (close,) = proposed.entries("close")
    due = {(row["participant"], row["source"]): (row["direction"], row["fen"]) for row in close.body["payments"]}
    left = {(row["participant"], row["source"]): row["reason"] for row in close.body["unpaid"]}
    assert due[501, 0][0] == due[211, 0][0] == due[611, 0][0] == "pay"
    assert due[701, 0][0] == due[901, 901][0] == due[20, 0][0] == "collect"
    assert left[211, 903] == "awaiting_fund", "a fund's share waits for the fund"
    assert {row["pay_date"] for row in close.body["payments"]} == {"2026-03-03"}
    assert verify(proposed.directory, PASSPHRASE) == []


def test_the_second_signature_orders(paying: Paying) -> None:
    before = paying.balance("merchant_payable", 501)
    first = paying.approve(SHOP, METRO_BUS, by="approver.a")
    assert first.message is None
    assert paying.status(SHOP) == "approved"
    assert paying.balance("payment_in_transit") == 0
    second = paying.approve(SHOP, by="approver.b")
    assert second.ordered == [SHOP]
    assert paying.status(SHOP) == "ordered"
    assert paying.status(METRO_BUS) == "approved"
    assert paying.balance("merchant_payable", 501) == before - paying.fen(SHOP) == 0
    assert paying.balance("payment_in_transit", 501) == paying.fen(SHOP)
    assert verify(paying.directory, PASSPHRASE) == []


def test_nobody_approves_twice_or_what_is_not_there(paying: Paying) -> None:
    paying.approve(SHOP, by="approver.a")
    for payments, by, message in (
        ([SHOP], "approver.a", "approver.a has already acted on payment 20260302-501-0"),
        ([SHOP], "reconciler", "does not hold the role approver"),
        (["20260302-999-0"], "approver.b", "there is no payment 20260302-999-0"),
    ):
        with pytest.raises(RefusedError, match=message):
            paying.approve(*payments, by=by)
    with pytest.raises(RefusedError, match=r"not by the key of approver\.b"):
        paying.approve(SHOP, by="approver.b", key=paying.key("approver.a"))
    paying.approve(SHOP, by="approver.b")
    with pytest.raises(RefusedError, match="is ordered"):
        paying.approve(SHOP, by="approver.a")
    assert len(paying.entries("order")) == 1


def test_what_is_spoken_for_is_not_proposed_again(paying: Paying) -> None:
    """Neither proposed, nor approved, nor ordered, nor on the way."""
    paying.order(SHOP)
    paying.approve(METRO_BUS, by="approver.a")
    for number, day in enumerate(("03", "04"), 3):
        paying.close(datetime.date(2026, 3, int(day)), f"2026-03-{number + 1:02d}T05:00:00")
    again = [row for entry in paying.entries("close")[1:] for row in entry.body["payments"]]
    assert again == []


def test_withdrawn_money_falls_due_again(paying: Paying) -> None:
    with pytest.raises(RefusedError, match="needs a reason"):
        paying.approve(SHOP, by="approver.a", action="withdraw")
    paying.approve(SHOP, by="approver.a", action="withdraw", reason="wrong account")
    assert paying.status(SHOP) == "withdrawn"
    again = paying.close(datetime.date(2026, 3, 3), "2026-03-04T05:00:00").payments
    assert [(row["payment"], row["fen"]) for row in again] == [("20260303-501-0", paying.fen(SHOP))]


def test_pain_001_carries_the_order(paying: Paying) -> None:
    summary = paying.order()
    (path,) = (paying.directory / "payments").glob("*.pain.001.xml")
    root = ET.fromstring(path.read_bytes())
    transfers = root.findall(".//p:CdtTrfTxInf", NAMESPACE)
    told = {
        t.findtext("p:PmtId/p:EndToEndId", "", NAMESPACE): t.findtext("p:Amt/p:InstdAmt", "", NAMESPACE)
        for t in transfers
    }
    pay = {n: p for n, p in paying.book.payments.items() if p.proposed["direction"] == "pay"}
    assert {name: round(float(text) * 100) for name, text in told.items()} == {n: paying.fen(n) for n in pay}
    assert root.findtext(".//p:GrpHdr/p:MsgId", "", NAMESPACE) == summary.message
    total = sum(paying.fen(name) for name in pay)
    assert root.findtext(".//p:GrpHdr/p:CtrlSum", "", NAMESPACE) == f"{total // 100}.{total % 100:02d}"
    (collections,) = (paying.directory / "payments").glob("*.collections.txt")
    assert FUND in collections.read_bytes().decode("gbk")


def test_lost_files_are_written_again_alike_and_changed_ones_are_found(paying: Paying) -> None:
    files = [paying.directory / name for name in paying.order(SHOP).files]
    content = [path.read_bytes() for path in files]
    files[0].write_bytes(content[0].replace(b"201.23", b"901.23"))
    assert [f.what for f in verify(paying.directory, PASSPHRASE)] == ["the file is not the one the order entry gives"]
    for path in files:
        path.unlink()
    paying.approve(METRO_BUS, by="approver.a")
    assert [path.read_bytes() for path in files] == content


def test_a_crash_between_second_approval_and_order_is_completed(paying: Paying, tmp_path: Path) -> None:
    whole = paying.copy(tmp_path / "whole")
    paying.order(SHOP)
    whole.order(SHOP)
    order = paying.entries("order")[0]
    (paying.directory / "journal" / f"{order.sequence:08d}.json").unlink()
    rebuild(paying.directory, PASSPHRASE)
    paying.approve(METRO_BUS, by="approver.a")
    assert paying.entries("order")[0].body == whole.entries("order")[0].body
    assert paying.status(SHOP) == "ordered"
    assert verify(paying.directory, PASSPHRASE) == []


def test_an_order_without_two_persons_is_found(paying: Paying) -> None:
    """Somebody with the centre's key alone cannot make an order that stands."""
    paying.order(SHOP)
    from clearing.centre import Centre

    centre = Centre.open(paying.directory, PASSPHRASE)
    order = paying.entries("order")[0]
    body = {**order.body, "message": "C000001-99999999", "approvals": {SHOP: order.body["approvals"][SHOP][:1]}}
    centre.journal.append("order", body, at=order.at, key=centre.signing)
    assert "payment 20260302-501-0 was ordered without two persons' approval of this instruction" in [
        finding.what for finding in verify(paying.directory, PASSPHRASE)
    ]


def test_an_account_changed_between_two_signatures_is_signed_again(paying: Paying) -> None:
    message = paying.order(SHOP).message
    paying.bank(pain002(str(message), [(SHOP, "RJCT")]))
    paying.approve(SHOP, by="approver.a")
    settings = paying.directory / "centre.yaml"
    old = paying.account(SHOP)
    settings.write_text(settings.read_text("utf-8").replace(old, "6217888888888888"), "utf-8")
    assert paying.approve(SHOP, by="approver.b").message is None, "they did not sign the same"
    assert paying.approve(SHOP, by="approver.a").ordered == [SHOP]
    assert paying.account(SHOP) == "6217888888888888"
    assert verify(paying.directory, PASSPHRASE) == []


def test_who_proposed_does_not_approve(paying: Paying) -> None:
    settings = paying.directory / "centre.yaml"
    settings.write_text(
        settings.read_text("utf-8").replace("roles: [reconciler, intake]", "roles: [reconciler, approver]")
    )
    paying.approve(SHOP, by="approver.a", action="withdraw", reason="once more")
    proposer = Proposer("reconciler", paying.key("reconciler"))
    date = datetime.date(2026, 3, 3)
    now = seconds_of("2026-03-04T05:00:00")
    close_window(paying.directory, date, passphrase=PASSPHRASE, now=now, proposer=proposer)
    paying.clock = "2026-03-04T09:00:00"
    with pytest.raises(RefusedError, match="proposed it"):
        paying.approve("20260303-501-0", by="reconciler")
    paying.order("20260303-501-0")
    assert verify(paying.directory, PASSPHRASE) == []


def test_explain_follows_the_money_to_the_bank(paying: Paying) -> None:
    message = paying.order(SHOP).message
    move = Move("debit", paying.fen(SHOP), payment=SHOP, reference="BK-1")
    paying.bank(camt([move]))
    [(txn_id,)] = paying.query("SELECT txn_id FROM retail WHERE amount = 20000")
    told = explain(paying.directory, str(txn_id), passphrase=PASSPHRASE, language="en")
    assert told.settlement is not None
    (payment,) = told.settlement.payments
    assert (payment.payment, payment.state, payment.order) == (SHOP, "settled", message)
    (line,) = payment.bank
    assert (line.outcome, line.fen, line.reference, line.entry.kind) == ("settled", paying.fen(SHOP), "BK-1", "bank")
    assert "BK-1" in render_text(told, "en")


def test_private_keys_are_not_in_the_centre(proposed: Paying) -> None:
    assert people_folder(proposed.directory).is_dir()
    shutil.copytree(people_folder(proposed.directory), proposed.directory.parent / "elsewhere", dirs_exist_ok=True)
    assert not list(proposed.directory.rglob("*.key"))
