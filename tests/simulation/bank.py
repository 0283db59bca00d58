"""A bank as a city has one: it reads orders, takes some, refuses some, books late, sends money back, and tells of it.

Seeded: what becomes of a payment follows from the seed, its name and how often it was ordered. The bank knows nothing
of the centre but its accounts and the files it gets; it says beside each file what it meant (``meant``).
"""

from __future__ import annotations

import datetime
import hashlib
import random
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.paying import yuan

RESERVE = 0
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
OPENING = {RESERVE: 2_000_000_000, 1: 300_000_000}
"""Fen on the accounts before the first day; those of funds are empty."""

REJECTED, RETURNED, LATE, SHORT, UNANSWERED = 0.06, 0.12, 0.3, 0.1, 0.2
"""How many of what can go wrong does."""


@dataclass(frozen=True)
class Order:
    """One payment or collection as an order file says it."""

    message: str
    payment: str
    direction: str
    fen: int
    account: str
    """Of the other side."""
    ours: str


@dataclass(frozen=True)
class Written:
    """A file of the bank, and what it means by it."""

    name: str
    content: bytes
    meant: dict[str, Any]


@dataclass
class _Booking:
    account: str
    direction: str
    fen: int
    payment: str
    other: str = ""
    reference: str = ""
    returned: bool = False


@dataclass
class Bank:
    """The bank of the centre's accounts."""

    seed: int
    sources: dict[str, int]
    """Source of money by account number."""
    balance: dict[str, int] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _times: Counter[str] = field(default_factory=Counter)
    _due: dict[int, list[_Booking]] = field(default_factory=lambda: defaultdict(list))
    """What is booked on which day."""
    _numbers: Counter[str] = field(default_factory=Counter)
    _last: Written | None = None

    def __post_init__(self) -> None:
        self.balance = {number: OPENING.get(source, 0) for number, source in self.sources.items()}

    def read(self, payments: Path) -> list[list[Order]]:
        """Orders that have come since, one list per message."""
        found: dict[str, list[Order]] = {}
        for path in sorted(payments.glob("*.pain.001.xml")) + sorted(payments.glob("*.collections.txt")):
            if path.name not in self._known:
                self._known.add(path.name)
                message = path.name.split(".")[0]
                read = _transfers(path) if path.suffix == ".xml" else self._collections(path)
                found.setdefault(message, []).extend(read)
        return [found[message] for message in sorted(found)]

    def _collections(self, path: Path) -> list[Order]:
        """The bank's own list; its accounts of ours follow from the source in the payment's name."""
        header, *lines = path.read_text("gb18030").splitlines()
        ours = {source: number for number, source in self.sources.items()}
        orders = []
        for line in lines:
            _, payment, _, account, _, amount, _, _ = line.split("|")
            source = int(payment.split("-")[2])
            orders.append(
                Order(header.split("|")[0], payment, "collect", int(amount.replace(".", "")), account, ours[source])
            )
        return orders

    def decide(self, orders: list[Order], today: int, next_days: list[int]) -> Written | None:
        """What becomes of the orders of a message; the answer, None where the bank says nothing before it books.

        Args:
            orders: of one message.
            today: day number.
            next_days: the business days that follow.
        """
        results: dict[str, str] = {}
        for order in orders:
            self._times[order.payment] += 1
            chance = random.Random(f"{self.seed} {order.payment} {self._times[order.payment]}")
            if chance.random() < REJECTED:
                results[order.payment] = "rejected"
                continue
            if chance.random() >= UNANSWERED:
                results[order.payment] = "accepted"
            self._plan(order, chance, [today, *next_days])
        if not results:
            return None
        message = orders[0].message
        rows = [order for order in orders if order.direction == "pay"] or orders
        content = _answer(message, self._name("A"), results, rows)
        answers = [{"original": message, "results": results}]
        return self._written(f"{message}.pain.002.xml", content, notice=False, answers=answers)

    def _plan(self, order: Order, chance: random.Random, days: list[int]) -> None:
        """When it is booked, and whether it comes back."""
        away = order.direction == "pay"
        here = _Booking(
            order.ours, "debit" if away else "credit", order.fen, order.payment, order.account, self._name("R")
        )
        source = self.sources[order.ours]
        when = 0
        if not away and chance.random() < LATE:
            when = chance.randint(1, 4)
        if not away and source != RESERVE and chance.random() < SHORT:
            here.fen -= max(here.fen // 10, 1)  # A fund that finds its claim too high pays less.
        self._due[days[when]].append(here)
        if away and order.account in self.sources:
            self._due[days[when]].append(
                _Booking(order.account, "credit", order.fen, order.payment, order.ours, self._name("R"))
            )
        elif away and chance.random() < RETURNED:
            back = _Booking(
                order.ours, "credit", order.fen, order.payment, order.account, self._name("R"), returned=True
            )
            self._due[days[chance.randint(1, 2)]].append(back)

    def stray(self, day: int) -> None:
        """Money from somebody who does not say what for."""
        reserve = next(number for number, source in self.sources.items() if source == RESERVE)
        fen = random.Random(f"{self.seed} stray {day}").randint(100, 90_000)
        self._due[day].append(_Booking(reserve, "credit", fen, "", "6217000000009999", self._name("R")))

    def notices(self, day: int) -> Written | None:
        """camt.054 of the day's returns, before the statement."""
        back = [each for each in self._due[day] if each.returned]
        if not back:
            return None
        statements = [
            self._document(account, "", [b for b in back if b.account == account]) for account in _accounts(back)
        ]
        return self._file("054", day, statements)

    def statements(self, day: int) -> Written | None:
        """camt.053 of every account on which something was booked that day, in one message."""
        booked = self._due.pop(day, [])
        first = not self._numbers["S"]
        accounts = sorted(self.sources) if first else _accounts(booked)
        statements = []
        for account in accounts:
            lines = [each for each in booked if each.account == account]
            statements.append(self._document(account, f"{_date(day):%Y%m%d}-{account}", lines))
            self.balance[account] = statements[-1]["closing"]
        if not statements:
            return None
        self._numbers["S"] += 1
        self._last = self._file("053", day, statements)
        return self._last

    def again(self, day: int) -> list[Written]:
        """The last statement once more: the same file, and exported anew under another message."""
        if self._last is None:
            return []
        last = self._last
        same = Written(f"again-{last.name}", last.content, last.meant | {"file": f"again-{last.name}"})
        anew = self._file("053", day, last.meant["statements"], prefix="anew-")
        return [same, anew]

    def _document(self, account: str, number: str, lines: list[_Booking]) -> dict[str, Any]:
        opening = self.balance[account]
        moved = sum(each.fen if each.direction == "credit" else -each.fen for each in lines)
        return {
            "account": account,
            "number": number or self._name("N"),
            "opening": opening,
            "closing": opening + moved,
            "lines": [
                {
                    "direction": each.direction,
                    "fen": each.fen,
                    "payment": each.payment,
                    "account": each.other,
                    "reference": each.reference,
                }
                for each in lines
            ],
        }

    def _file(self, kind: str, day: int, statements: list[dict[str, Any]], prefix: str = "") -> Written:
        content = _camt(kind, self._name("M"), _date(day), statements)
        name = f"{prefix}{_date(day):%Y%m%d}.camt.{kind}.xml"
        return self._written(name, content, notice=kind == "054", statements=statements)

    def _written(self, name: str, content: str, *, notice: bool, **meant: Any) -> Written:
        data = content.encode()
        message = content.split("<MsgId>")[1].split("<")[0]
        told = {"answers": [], "statements": []} | meant
        digest = hashlib.sha256(data).hexdigest()
        return Written(name, data, {"file": name, "notice": notice, "message": message, "digest": digest} | told)

    def _name(self, kind: str) -> str:
        self._numbers[kind] += 1
        return f"{kind}{self._numbers[kind]:07d}"


def _accounts(bookings: list[_Booking]) -> list[str]:
    return sorted({each.account for each in bookings})


def _date(day: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(day)


def _transfers(path: Path) -> list[Order]:
    root = ET.fromstring(path.read_bytes())
    message = root.findtext(f".//{PAIN}MsgId", "")
    orders = []
    for information in root.iter(f"{PAIN}PmtInf"):
        ours = information.findtext(f"{PAIN}DbtrAcct/{PAIN}Id/{PAIN}Othr/{PAIN}Id", "")
        for transfer in information.iter(f"{PAIN}CdtTrfTxInf"):
            amount = transfer.findtext(f"{PAIN}Amt/{PAIN}InstdAmt", "")
            account = transfer.findtext(f"{PAIN}CdtrAcct/{PAIN}Id/{PAIN}Othr/{PAIN}Id", "")
            payment = transfer.findtext(f"{PAIN}PmtId/{PAIN}EndToEndId", "")
            orders.append(Order(message, payment, "pay", int(amount.replace(".", "")), account, ours))
    return orders


# --- what the bank writes -------------------------------------------------------------------


def _answer(original: str, message: str, results: dict[str, str], orders: list[Order]) -> str:
    """pain.002.001.12 about some payments of a message, with its count and sum."""
    total = yuan(sum(each.fen for each in orders))
    told = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{payment}</OrgnlEndToEndId>"
        f"<TxSts>{'RJCT' if result == 'rejected' else 'ACSP'}</TxSts>"
        f"{'<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>' if result == 'rejected' else ''}</TxInfAndSts>"
        for payment, result in results.items()
    )
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.12"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>2026-01-01T00:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{original}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>"
        f"<OrgnlNbOfTxs>{len(orders)}</OrgnlNbOfTxs><OrgnlCtrlSum>{total}</OrgnlCtrlSum>"
        f"<GrpSts>PART</GrpSts></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>P</OrgnlPmtInfId>{told}"
        "</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    )


def _camt(kind: str, message: str, date: datetime.date, statements: list[dict[str, Any]]) -> str:
    """camt.053.001.08 or camt.054.001.08 with one statement or notice per account."""
    body, part = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}[kind]
    parts = "".join(_statement(part, each, date, balances=kind == "053") for each in statements)
    return (
        f'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.08"><{body}>'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>{date}T20:00:00</CreDtTm></GrpHdr>{parts}</{body}></Document>"
    )


def _statement(part: str, statement: dict[str, Any], date: datetime.date, *, balances: bool) -> str:
    told = ""
    if balances:
        told = _balance("OPBD", statement["opening"], date) + _balance("CLBD", statement["closing"], date)
    lines = "".join(_entry(line, date) for line in statement["lines"])
    return (
        f"<{part}><Id>{statement['number']}</Id><CreDtTm>{date}T20:00:00</CreDtTm>"
        f"<Acct><Id><Othr><Id>{statement['account']}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>{told}{lines}</{part}>"
    )


def _balance(kind: str, fen: int, date: datetime.date) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy='CNY'>{yuan(abs(fen))}</Amt>"
        f"<CdtDbtInd>{'CRDT' if fen >= 0 else 'DBIT'}</CdtDbtInd><Dt><Dt>{date}</Dt></Dt></Bal>"
    )


def _entry(line: dict[str, Any], date: datetime.date) -> str:
    side, other = ("CRDT", "Dbtr") if line["direction"] == "credit" else ("DBIT", "Cdtr")
    return (
        f"<Ntry><Amt Ccy='CNY'>{yuan(line['fen'])}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{date}</Dt></BookgDt><AcctSvcrRef>{line['reference']}</AcctSvcrRef><BkTxCd/><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{line['payment'] or 'NOTPROVIDED'}</EndToEndId></Refs>"
        f"<RltdPties><{other}Acct><Id><Othr><Id>{line['account']}</Id></Othr></Id></{other}Acct></RltdPties>"
        "</TxDtls></NtryDtls></Ntry>"
    )
