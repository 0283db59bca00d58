"""Collections from net debtors by mandate: what the bank is told, what it answers, and what never settles."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from clearing.verify import verify
from evidence.centres import PASSPHRASE
from evidence.paying import FUND, RESERVE_ACCOUNT, SHOP, Move, Paying, camt, pain002

AGENT = "20260302-701-0"
NAMESPACE = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.008.001.08"}


def message(centre: Paying) -> str:
    """MsgId of the newest order's direct debits."""
    return str(centre.entries("order")[-1].body["message"]) + "-D"


def answer(centre: Paying, status: str, **options: object) -> str:
    return pain002(message(centre), [(AGENT, status)], about="pain.008.001.08", **options)  # type: ignore[arg-type]


def debited(centre: Paying, **changes: object) -> Move:
    """The agent's money as an honest bank books it, with changes."""
    honest = {"direction": "credit", "fen": centre.fen(AGENT), "payment": AGENT, "account": centre.account(AGENT)}
    return Move(**{**honest, "reference": "BK-1", **changes})  # type: ignore[arg-type]


def test_only_a_mandate_is_debited_the_others_are_on_the_list(debiting: Paying) -> None:
    debiting.order()
    (path,) = (debiting.directory / "payments").glob("*.pain.008.xml")
    root = ET.fromstring(path.read_bytes())

    def told(name: str) -> list[str]:
        return [each.text or "" for each in root.findall(f".//p:{name}", NAMESPACE)]

    fen = debiting.fen(AGENT)
    assert told("MsgId") == [message(debiting)]
    assert told("EndToEndId") == [AGENT]
    assert told("InstdAmt") == told("GrpHdr/p:CtrlSum") == [f"{fen // 100}.{fen % 100:02d}"]
    assert (told("MndtId"), told("DtOfSgntr")) == (["DK-701-1"], ["2025-12-20"])
    accounts = [each.text for each in root.findall(".//p:Othr/p:Id", NAMESPACE)]
    assert accounts == [RESERVE_ACCOUNT, debiting.account(AGENT)]
    (collections,) = (debiting.directory / "payments").glob("*.collections.txt")
    listed = collections.read_bytes().decode("gbk")
    assert FUND in listed
    assert AGENT not in listed, "collected twice"
    content = path.read_bytes()
    path.unlink()
    assert [f.what for f in verify(debiting.directory, PASSPHRASE)] == []
    path.write_bytes(content.replace(b"DK-701-1", b"DK-701-2"))
    assert [f.what for f in verify(debiting.directory, PASSPHRASE)] == [
        "the file is not the one the order entry gives"
    ]


@dataclass(frozen=True)
class Case:
    """What the bank sends about the debit, what becomes of it."""

    name: str
    file: Callable[[Paying], str]
    outcome: str
    status: str
    line: str = ""
    before: tuple[Callable[[Paying], str], ...] = ()


def booked(centre: Paying) -> str:
    return camt([debited(centre)], number="FIRST")


CASES = [
    Case("accepted", lambda c: answer(c, "ACSP"), "taken", "accepted", "accepted"),
    Case("rejected", lambda c: answer(c, "RJCT"), "taken", "rejected", "rejected"),
    Case("the whole message rejected", lambda c: pain002(message(c), [], group="RJCT", about="pain.008.001.08"),
         "taken", "rejected", "rejected"),
    Case("booked", booked, "taken", "settled", "settled"),
    Case("booked out of the debtor's account", lambda c: answer(c, "ACSP", changes={AGENT: (c.fen(AGENT),
         c.account(AGENT))}), "taken", "accepted", "accepted"),
    Case("charged back", lambda c: camt([debited(c, direction="debit", returned="MD06", reference="BK-9")],
         number="S-2", opening=10_000_000 + c.fen(AGENT)), "taken", "returned", "returned", (booked,)),
    Case("too little", lambda c: camt([debited(c, fen=1)]), "taken", "ordered", "wrong_amount"),
    Case("out of another account", lambda c: camt([debited(c, account="6217009999999999")]), "taken", "ordered",
         "wrong_party"),
    Case("paid out instead", lambda c: camt([debited(c, direction="debit")]), "taken", "ordered", "not_settled"),
    Case("twice", lambda c: camt([debited(c, reference="BK-2")], number="S-2", opening=10_000_000 + c.fen(AGENT)),
         "taken", "settled", "paid_twice", (booked,)),
    Case("the same statement twice", lambda c: camt([debited(c)], number="FIRST", message="OTHER"),
         "duplicate_statement", "settled", "", (booked,)),
    Case("another amount in an answer", lambda c: answer(c, "ACSP", changes={AGENT: (1, c.account(AGENT))}), "taken",
         "ordered", "wrong_amount"),
    Case("another debtor in an answer",
         lambda c: answer(c, "RJCT", changes={AGENT: (c.fen(AGENT), "62170099999999")}), "taken", "ordered",
         "wrong_party"),
    Case("another count", lambda c: answer(c, "ACSP", rows=2), "wrong_count", "ordered"),
    Case("another sum", lambda c: answer(c, "ACSP", fen=1), "wrong_sum", "ordered"),
    Case("an answer to the credit transfers", lambda c: pain002(message(c)[:-2], [(AGENT, "RJCT")]), "taken",
         "ordered", "unknown_payment"),
    Case("an answer about a credit transfer",
         lambda c: pain002(message(c), [(SHOP, "RJCT")], about="pain.008.001.08"), "taken", "ordered",
         "unknown_payment"),
    Case("the same answer again", lambda c: answer(c, "RJCT", group="RJCT"), "duplicate_message", "rejected", "",
         (lambda c: answer(c, "RJCT"),)),
    Case("debits of an order that has none", lambda c: pain002("C000001-00000001-D", [(AGENT, "RJCT")]),
         "unknown_message", "ordered"),
]  # fmt: skip


@pytest.fixture(scope="module")
def ordered(mandated: Paying, tmp_path_factory: pytest.TempPathFactory) -> Paying:
    """Read only: everything is on its way."""
    centre = mandated.copy(tmp_path_factory.mktemp("ordered") / "centre")
    centre.order()
    return centre


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_each_answer_does(ordered: Paying, case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    centre = ordered.copy(tmp_path_factory.mktemp("case") / "centre")
    for earlier in case.before:
        centre.bank(earlier(centre), "earlier.xml")
    shop = centre.status(SHOP)
    found = centre.bank(case.file(centre))
    assert (found.outcome, centre.status(AGENT)) == (case.outcome, case.status)
    if case.line:
        assert case.line in {line["outcome"] for line in found.lines}
    assert centre.status(SHOP) == shop, "an answer about debits touches no transfer"
    owed = -centre.balance("agent_receivable", 701)
    moving = -centre.balance("collection_in_transit", 701)
    expected = {"settled": (0, 0), "rejected": (200, 0), "returned": (200, 0)}.get(case.status, (0, 200))
    assert (owed, moving) == expected, "what is owed is there exactly once"


def test_what_came_back_is_debited_again_under_the_mandate_then_agreed(debiting: Paying) -> None:
    debiting.order(AGENT)
    debiting.bank(answer(debiting, "RJCT"))
    path = debiting.directory / "centre.yaml"
    path.write_text(path.read_text("utf-8").replace("DK-701-1", "DK-701-2"), "utf-8")
    debiting.order(AGENT)
    first, second = debiting.entries("order")
    assert [order.body["instructions"][0]["mandate"]["id"] for order in (first, second)] == ["DK-701-1", "DK-701-2"]
    assert first.body["message"] != second.body["message"]
    late = debiting.bank(pain002(f"{first.body['message']}-D", [(AGENT, "RJCT")], message="LATE"))
    assert ([line["outcome"] for line in late.lines], debiting.status(AGENT)) == (["superseded"], "ordered")
    assert verify(debiting.directory, PASSPHRASE) == []
