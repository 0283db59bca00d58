"""Bank files, honest and hostile: what each does, and that no wrong one ever settles anything.

The table of docs/clearing-rules.md §13: every case has its stated outcome. After each of them
what is owed is there exactly once, and our books say what the bank says.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from clearing.bank.take import BankSummary
from clearing.verify import verify
from evidence.centres import PASSPHRASE
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


def paid(centre: Paying, **changes: object) -> Move:
    """The shop's payment as an honest bank books it, with changes."""
    honest = {"direction": "debit", "fen": centre.fen(SHOP), "payment": SHOP, "account": centre.account(SHOP)}
    return Move(**{**honest, "reference": "BK-1", **changes})  # type: ignore[arg-type]


def returned(centre: Paying, **changes: object) -> Move:
    """The money comes back."""
    return paid(centre, direction="credit", returned="AC04", reference="BK-9", account=None, **changes)


def message(centre: Paying) -> str:
    """Of the newest order."""
    return str(centre.entries("order")[-1].body["message"])


def answer(centre: Paying, status: str, **options: object) -> str:
    """pain.002 about the shop's payment."""
    return pain002(message(centre), [(SHOP, status)], **options)  # type: ignore[arg-type]


def _ordered(centre: Paying) -> None:
    centre.order(SHOP)


@dataclass(frozen=True)
class Case:
    """A story: what went before, the file, what has to come of it."""

    name: str
    file: Callable[[Paying], str]
    outcome: str
    status: str
    line: str = ""
    before: Callable[[Paying], object] = _ordered
    open_lines: int = 0


def _settled(centre: Paying) -> None:
    centre.order(SHOP)
    centre.bank(camt([paid(centre)], number="FIRST"))


def _rejected(centre: Paying) -> None:
    centre.order(SHOP)
    centre.bank(answer(centre, "RJCT"))


def _returned(centre: Paying) -> None:
    _settled(centre)
    centre.bank(camt([returned(centre)], number="BACK", opening=10_000_000 - centre.fen(SHOP)))


def _reordered(centre: Paying) -> None:
    _rejected(centre)
    centre.order(SHOP)


def _noticed(centre: Paying) -> None:
    centre.order(SHOP)
    centre.bank(camt([paid(centre)], number="N-1", kind="054"))


def _nothing(centre: Paying) -> None:
    pass


def follow(centre: Paying) -> int:
    """What the next statement opens with after one payment to the shop."""
    return 10_000_000 - centre.fen(SHOP)


FIRST_OPENING = 1
"""The first statement of an account opens with money that nobody has explained yet: one open line."""

CASES = [
    # --- the honest way ---------------------------------------------------------------------
    Case("accepted", lambda c: answer(c, "ACSP"), "taken", "accepted", "accepted"),
    Case("settled on completion only by a statement", lambda c: answer(c, "ACSC"), "taken", "accepted", "accepted"),
    Case("booked", lambda c: camt([paid(c)]), "taken", "settled", "settled", open_lines=FIRST_OPENING),
    Case("noticed", lambda c: camt([paid(c)], kind="054"), "taken", "settled", "settled"),
    Case(
        "a statement after its notice confirms", lambda c: camt([paid(c)]), "taken", "settled", "confirmed",
        before=_noticed, open_lines=FIRST_OPENING,
    ),
    Case(
        "a notice after its statement confirms", lambda c: camt([paid(c)], kind="054"), "taken", "settled",
        "confirmed", before=_settled,
    ),
    Case("rejected", lambda c: answer(c, "RJCT"), "taken", "rejected", "rejected"),
    Case("a whole message rejected", lambda c: pain002(message(c), [], group="RJCT"), "taken", "rejected",
         "rejected"),
    Case("rejected, then sent again", lambda c: answer(c, "ACSP", message="ANSWER-2"), "taken", "accepted",
         "accepted", before=_reordered),
    Case(
        "returned after it was settled",
        lambda c: camt([returned(c)], number="S-2", opening=follow(c)),
        "taken", "returned", "returned", before=_settled,
    ),
    # --- wrong amount, sum, party -----------------------------------------------------------
    Case("too much", lambda c: camt([paid(c, fen=c.fen(SHOP) + 1)]), "taken", "ordered", "wrong_amount",
         open_lines=2),
    Case("too little", lambda c: camt([paid(c, fen=1)]), "taken", "ordered", "wrong_amount", open_lines=2),
    Case("another payee", lambda c: camt([paid(c, account="6217009999999999")]), "taken", "ordered", "wrong_party",
         open_lines=2),
    Case("out of another account", lambda c: camt([paid(c)], account=OWN_ACCOUNT), "taken", "ordered",
         "wrong_account", open_lines=2),
    Case("an answer with another amount", lambda c: answer(c, "ACSP", changes={SHOP: (1, c.account(SHOP))}), "taken",
         "ordered", "wrong_amount", open_lines=1),
    Case("an answer with another payee",
         lambda c: answer(c, "RJCT", changes={SHOP: (c.fen(SHOP), "6217009999999999")}), "taken", "ordered",
         "wrong_party", open_lines=1),
    Case("an answer with another count", lambda c: answer(c, "ACSP", rows=7), "wrong_count", "ordered"),
    Case("an answer with another sum", lambda c: answer(c, "ACSP", fen=7), "wrong_sum", "ordered"),
    Case("movements that do not give the closing balance", lambda c: camt([paid(c)], closing=10_000_000),
         "sum_mismatch", "ordered"),
    Case("another currency", lambda c: camt([paid(c)], currency="USD"), "wrong_currency", "ordered"),
    # --- unknown, doubled, out of order -----------------------------------------------------
    Case("an unknown payment", lambda c: camt([paid(c, payment="20260302-999-0")]), "taken", "ordered",
         "unknown_payment", open_lines=2),
    Case("a payment without a name", lambda c: camt([paid(c, payment="")]), "taken", "ordered", "unknown_payment",
         open_lines=2),
    Case("an account that is not ours", lambda c: camt([paid(c)], account="999999"), "unknown_account", "ordered"),
    Case("an answer to no message of ours", lambda c: pain002("C000009-00000001", [(SHOP, "ACSP")]),
         "unknown_message", "ordered"),
    Case("an answer about an unknown payment", lambda c: pain002(message(c), [("20260302-999-0", "ACSP")]), "taken",
         "ordered", "unknown_payment", open_lines=1),
    Case("the same answer under another name", lambda c: answer(c, "RJCT", group="RJCT"), "duplicate_message",
         "rejected", before=_rejected),
    Case("a second rejection", lambda c: answer(c, "RJCT", message="ANSWER-2"), "taken", "rejected",
         "repeated_answer", before=_rejected),
    Case("the same statement twice", lambda c: camt([paid(c)], number="FIRST", message="OTHER"),
         "duplicate_statement", "settled", before=_settled),
    Case("the same file twice", lambda c: camt([paid(c)], number="FIRST"), "repeated", "settled", before=_settled),
    Case("paid twice", lambda c: camt([paid(c, reference="BK-2")], number="S-2", opening=follow(c)), "taken",
         "settled", "paid_twice", before=_settled, open_lines=1),
    Case("a statement in between is missing", lambda c: camt([paid(c)], number="S-2", opening=5), "statement_gap",
         "settled", before=_settled),
    Case("booked before it was ordered", lambda c: camt([paid(c)]), "taken", "proposed", "before_order",
         before=_nothing, open_lines=2),
    Case("answered before it was ordered", lambda c: pain002("C000001-00000001", [(SHOP, "ACSP")]),
         "unknown_message", "proposed", before=_nothing),
    Case("booked after it was rejected", lambda c: camt([paid(c)]), "taken", "rejected", "before_order",
         before=_rejected, open_lines=2),
    Case("rejected after it was settled", lambda c: answer(c, "RJCT"), "taken", "settled", "after_settled",
         before=_settled, open_lines=1),
    Case("a late answer to the first message",
         lambda c: pain002(str(c.entries("order")[0].body["message"]), [(SHOP, "RJCT")], message="LATE"), "taken",
         "ordered", "superseded", before=_reordered, open_lines=1),
    Case("returned before it was settled", lambda c: camt([returned(c)]), "taken", "ordered", "not_settled",
         open_lines=2),
    Case("returned twice", lambda c: camt([returned(c, text="again")], number="S-3", opening=10_000_000), "taken",
         "returned", "not_settled", before=_returned, open_lines=1),
    # --- not readable -----------------------------------------------------------------------
    Case("cut off", lambda c: camt([paid(c)])[:-40], "unreadable", "ordered"),
    Case("half a fen", lambda c: camt([paid(c)]).replace("201.23", "201.235"), "unreadable", "ordered"),
    Case("entities", lambda c: "<!DOCTYPE x [<!ENTITY e 'e'>]>" + camt([paid(c)]), "unreadable", "ordered"),
    Case("another message altogether", lambda c: camt([paid(c)]).replace("camt.053", "camt.029"), "unreadable",
         "ordered"),
]  # fmt: skip


@pytest.fixture(scope="module")
def states(proposed: Paying, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Paying]:
    """Every beginning of a story is told once; each case goes on with a copy of it."""
    told: dict[str, Paying] = {}

    def copy(case: Case) -> Paying:
        name = case.before.__name__
        if name not in told:
            told[name] = proposed.copy(tmp_path_factory.mktemp(name) / "centre")
            case.before(told[name])
        return told[name].copy(tmp_path_factory.mktemp("case") / "centre")

    return copy


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_bank_file_has_its_outcome(states: Callable[[Case], Paying], case: Case) -> None:
    paying = states(case)
    before = _out_of_the_bank(paying)
    summary = paying.bank(case.file(paying))
    assert (summary.outcome, paying.status(SHOP)) == (case.outcome, case.status), summary
    if case.line:
        assert summary.lines[-1]["outcome"] == case.line
    assert sum(line["open"] for line in summary.lines) == case.open_lines
    opened = paying.query(f"SELECT COUNT(*) FROM bank_lines WHERE open AND entry = {summary.entry}")
    assert opened == [(case.open_lines,)]
    if summary.outcome != "taken":
        assert _out_of_the_bank(paying) == before, "a refused file moves nothing"
        assert paying.entries("bank")[-1].body["postings"] == []
    _nothing_is_lost(paying)


def _out_of_the_bank(centre: Paying) -> int:
    return centre.balance("bank_account", source=0)


def _nothing_is_lost(centre: Paying) -> None:
    """What is owed to the shop: payable, on the way, or settled by the bank; every fen exactly once."""
    fen, status = centre.fen(SHOP), centre.status(SHOP)
    on_the_way = centre.balance("payment_in_transit", 501)
    payable = centre.balance("merchant_payable", 501)
    assert on_the_way == (fen if status in ("ordered", "accepted") else 0)
    assert payable == (0 if status in ("ordered", "accepted", "settled") else fen)
    statements = centre.query(
        "SELECT closing FROM bank_statements WHERE source = 0 ORDER BY entry DESC, statement DESC LIMIT 1"
    )
    if statements:
        assert -_out_of_the_bank(centre) == statements[0][0], "our books say what the bank says"


def test_sent_again_under_the_same_name_in_a_new_message(paying: Paying) -> None:
    """Rejected, corrected, approved by two persons again; never twice at the bank."""
    _rejected(paying)
    assert paying.approve(SHOP, by="approver.a").message is None
    assert paying.status(SHOP) == "approved"
    again = paying.approve(SHOP, by="approver.b")
    first, second = paying.entries("order")
    assert first.body["message"] != second.body["message"] == again.message
    assert [row["payment"] for row in second.body["instructions"]] == [SHOP]
    paying.bank(camt([paid(paying)]))
    assert paying.status(SHOP) == "settled"
    assert -paying.balance("bank_account") == 10_000_000 - paying.fen(SHOP)


def test_a_part_of_a_message_is_rejected(paying: Paying) -> None:
    paying.order(SHOP, METRO_BUS)
    paying.bank(pain002(message(paying), [(SHOP, "RJCT"), (METRO_BUS, "ACSP")], rows=2))
    assert (paying.status(SHOP), paying.status(METRO_BUS)) == ("rejected", "accepted")
    assert paying.balance("payment_in_transit") == paying.fen(METRO_BUS)


def test_a_fund_pays_and_then_its_shares_are_paid_out_of_its_own_account(paying: Paying) -> None:
    """Never before, never out of the reserve."""
    paying.order("20260302-903-903")
    fen = paying.fen("20260302-903-903")
    move = Move("credit", fen, text="学生优惠 20260302-903-903", reference="F-1")
    assert (
        paying.bank(camt([move], account="3104000000000000903", opening=0, number="F")).lines[0]["outcome"]
        == "settled"
    )
    closed = paying.close(datetime.date.fromisoformat("2026-03-03"), "2026-03-04T05:00:00")
    (share,) = [row for row in closed.payments if row["source"] == 903]
    assert (share["participant"], share["fen"], share["ours"]["number"]) == (211, fen, "3104000000000000903")
    assert all(row["from_source"] == row["source"] for row in closed.payments)


def test_a_picked_up_benefit_is_moved_to_the_reserve_before_anything_else(paying: Paying) -> None:
    paying.order(FUND)
    move = Move("credit", paying.fen(FUND), payment=FUND, reference="F-1")
    paying.bank(camt([move], account=FUND_ACCOUNT, opening=0, number="F"))
    closed = paying.close(datetime.date.fromisoformat("2026-03-03"), "2026-03-04T05:00:00")
    (transfer,) = [row for row in closed.payments if row["purpose"] == "transfer"]
    assert (transfer["fen"], transfer["from_source"], transfer["to_source"]) == (paying.fen(FUND), 901, 0)
    paying.clock = "2026-03-04T09:00:00"
    paying.order(transfer["payment"])
    out = Move("debit", transfer["fen"], payment=transfer["payment"], reference="T-1")
    paying.bank(camt([out], account=FUND_ACCOUNT, opening=transfer["fen"], number="F-2"), name="out.xml")
    arrived = Move("credit", transfer["fen"], payment=transfer["payment"], reference="T-2")
    summary = paying.bank(camt([arrived], opening=0, number="R-1"), name="in.xml")
    assert [line["outcome"] for line in summary.lines] == ["confirmed"]
    assert paying.balance("bank_account", source=901) == 0
    assert -paying.balance("bank_account", source=0) == transfer["fen"]
    paying.close(datetime.date.fromisoformat("2026-03-04"), "2026-03-05T05:00:00")
    assert [row for row in paying.entries("close")[-1].body["payments"] if row["purpose"] == "transfer"] == []
    assert verify(paying.directory, PASSPHRASE) == []


def test_a_list_is_answered_by_its_own_layout(paying: Paying) -> None:
    paying.order(SHOP, METRO_BUS)
    rows = [(METRO_BUS, "成功", ""), (SHOP, "失败", "账号不存在")]
    total = sum(paying.fen(payment) for payment, _, _ in rows)
    lines = [f"{message(paying)}|20260303|2|{total // 100}.{total % 100:02d}"]
    for number, (payment, result, reason) in enumerate(rows, 1):
        fen = paying.fen(payment)
        lines.append(
            f"{number}|{payment}|商户|{paying.account(payment)}|{fen // 100}.{fen % 100:02d}|{result}|{reason}"
        )
    summary = paying.bank("\r\n".join(lines).encode("gbk"), name="answer.txt")
    assert summary.format == "list"
    assert (paying.status(METRO_BUS), paying.status(SHOP)) == ("accepted", "rejected")
    wrong = "\r\n".join([lines[0].replace(f"{total // 100}.", "9."), *lines[1:]])
    assert paying.bank(wrong.encode("gbk"), name="wrong.txt").outcome == "wrong_sum"


MT940 = """:20:20260303
:25:102310400018/3104000000000000001
:28C:00061/001
:60F:C260302CNY1000,00
:61:2603030303D{amount}NTRF{payment}//BK123
:86:/EREF/{payment}/REMI/settlement
:62F:C260303CNY{closing}
-
"""


def test_mt940_and_csv_statements_settle_alike(paying: Paying) -> None:
    paying.order(SHOP)
    fen, closing = paying.fen(SHOP), 100_000 - paying.fen(SHOP)
    other = paying.copy(paying.directory.with_name("other"))
    text = MT940.format(
        amount=f"{fen // 100},{fen % 100:02d}", payment=SHOP, closing=f"{closing // 100},{closing % 100:02d}"
    )
    summary = paying.bank(text, name="statement.sta")
    assert (summary.format, summary.lines[-1]["outcome"]) == ("mt940", "settled")
    heading = "账号,交易日期,借方金额,贷方金额,余额,对方账号,业务编号,摘要,流水号"
    amounts = f"{fen // 100}.{fen % 100:02d},,{closing / 100}"
    line = f"3104000000000000001,2026-03-03,{amounts},{other.account(SHOP)},{SHOP},货款,BK9"
    summary = other.bank(f"{heading}\n{line}\n".encode("gbk"), name="statement.csv")
    assert (summary.format, summary.lines[-1]["outcome"]) == ("csv", "settled")
    assert paying.balance("bank_account") == other.balance("bank_account") == -closing


def test_several_lines_of_one_file(paying: Paying) -> None:
    """Paid and returned on one day, beside another payment."""
    paying.order(SHOP, METRO_BUS)
    bus = Move("debit", paying.fen(METRO_BUS), payment=METRO_BUS, reference="BK-5")
    summary: BankSummary = paying.bank(camt([paid(paying), bus, returned(paying)]))
    assert [line["outcome"] for line in summary.lines] == ["opening_balance", "settled", "settled", "returned"]
    assert paying.status(SHOP) == "returned"
    assert -paying.balance("bank_account") == 10_000_000 - paying.fen(METRO_BUS)
    paying.bank(camt([], number="S-2", opening=5), name="gap.xml")
    assert [entry.body["outcome"] for entry in paying.entries("bank")] == ["taken", "statement_gap"]
    assert verify(paying.directory, PASSPHRASE) == []
