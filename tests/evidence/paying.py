"""A closed centre whose payments wait for approval, and the files a bank sends about them."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from published import ask

from clearing.bank.take import BankSummary, take_bank_file
from clearing.calendar import seconds_of
from clearing.corrections.persons import Signer
from clearing.initialise import people_folder
from clearing.ledger.journal import Entry, Journal
from clearing.payments.approve import Action, ApprovalSummary, approve
from clearing.payments.book import PaymentBook
from clearing.people import load_key
from clearing.settlement import CloseSummary, close_window
from evidence.centres import PASSPHRASE, copy_of

WINDOW = datetime.date(2026, 3, 2)
CLOSED_AT = "2026-03-03T05:00:00"
RESERVE_ACCOUNT, OWN_ACCOUNT, FUND_ACCOUNT = "3104000000000000001", "3104000000000000002", "3104000000000000901"
SHOP, METRO_BUS, FUND = "20260302-501-0", "20260302-211-0", "20260302-901-901"


def yuan(fen: int) -> str:
    """Decimal yuan of a bank file, written apart from the project's."""
    return f"{fen // 100}.{fen % 100:02d}"


@dataclass
class Paying:
    """A centre with payments, driven as its people and its bank do."""

    directory: Path
    clock: str = "2026-03-03T09:00:00"
    statements: Counter[str] = field(default_factory=Counter)
    people: Path | None = None
    """Where the private keys of its people lie: beside the first centre, whose copies keep them."""

    def copy(self, target: Path) -> Paying:
        """A centre of one's own to go on with."""
        people = self.people or people_folder(self.directory)
        return Paying(copy_of(self.directory, target), self.clock, Counter(self.statements), people)

    def key(self, person: str) -> Path:
        """The private key of one of its people."""
        return (self.people or people_folder(self.directory)) / f"{person}.key"

    def signer(self, person: str) -> Signer:
        """A person who signs corrections."""
        return Signer(person, load_key(self.key(person)))

    def close(self, window: datetime.date, now: str) -> CloseSummary:
        """Close a window."""
        return close_window(self.directory, window, passphrase=PASSPHRASE, now=seconds_of(now))

    def approve(self, *payments: str, by: str, action: Action = "approve", **options: Any) -> ApprovalSummary:
        """One person's approval, with the key beside the original centre."""
        options.setdefault("window", None if payments else WINDOW)
        key = options.pop("key", self.key(by))
        return approve(
            self.directory, payments, person=by, key=key, passphrase=PASSPHRASE, action=action,
            now=seconds_of(self.clock), **options,
        )  # fmt: skip

    def order(self, *payments: str) -> ApprovalSummary:
        """Both persons' approval: the payments go to the bank."""
        self.approve(*payments, by="approver.a")
        return self.approve(*payments, by="approver.b")

    def bank(self, content: str | bytes, name: str = "bank.xml", **options: Any) -> BankSummary:
        """Take what the bank sent."""
        path = self.directory.with_name(f"{self.directory.name}-{name}")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return take_bank_file(self.directory, path, passphrase=PASSPHRASE, now=seconds_of(self.clock), **options)

    @property
    def book(self) -> PaymentBook:
        """Where every payment stands."""
        return PaymentBook(Journal(self.directory / "journal"))

    def status(self, payment: str) -> str:
        """The one live status of a payment: the book's, which the projection has to share."""
        found = self.book.payments[payment].status
        assert self.query(f"SELECT status FROM payment_status WHERE payment = '{payment}'") == [(found,)]
        return found

    def fen(self, payment: str) -> int:
        """Its amount."""
        return int(self.book.payments[payment].proposed["fen"])

    def account(self, payment: str) -> str:
        """The payee's account."""
        return str(self.book.payments[payment].due_by["theirs"]["number"])

    def entries(self, kind: str) -> list[Entry]:
        """Journal entries of a kind."""
        return list(Journal(self.directory / "journal").of_kind(kind))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the published ledger."""
        return ask(self.directory, sql)

    def balance(self, kind: str, participant: int | None = None, source: int = 0) -> int:
        """Cumulative balance of accounts, credit positive."""
        who = "" if participant is None else f"AND participant = {participant}"
        where = f"kind = '{kind}' AND source = {source} {who}"
        return int(self.query(f"SELECT COALESCE(SUM(fen), 0)::BIGINT FROM trial_balance WHERE {where}")[0][0])


# --- what banks write -----------------------------------------------------------------------


@dataclass
class Move:
    """One movement on a statement."""

    direction: Literal["credit", "debit"]
    fen: int
    payment: str = ""
    account: str | None = None
    reference: str = ""
    text: str = ""
    returned: str = ""


def camt(
    moves: list[Move],
    *,
    number: str = "STMT-1",
    opening: int = 10_000_000,
    closing: int | None = None,
    account: str = RESERVE_ACCOUNT,
    message: str = "",
    kind: Literal["053", "054"] = "053",
    currency: str = "CNY",
) -> str:
    """camt.053.001.08 or camt.054.001.08."""
    moved = sum(move.fen if move.direction == "credit" else -move.fen for move in moves)
    closing = opening + moved if closing is None else closing
    body, part = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}[kind]
    balances = _balance("OPBD", opening) + _balance("CLBD", closing) if kind == "053" else ""
    entries = "".join(_entry(move) for move in moves)
    return (
        f'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.08"><{body}>'
        f"<GrpHdr><MsgId>{message or 'M-' + number}</MsgId><CreDtTm>2026-03-04T06:00:00</CreDtTm></GrpHdr>"
        f"<{part}><Id>{number}</Id><CreDtTm>2026-03-04T06:00:00</CreDtTm>"
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>"
        f"{balances}{entries}</{part}></{body}></Document>"
    )


def _balance(kind: str, fen: int) -> str:
    sign = "CRDT" if fen >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy='CNY'>{yuan(abs(fen))}</Amt>"
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>2026-03-03</Dt></Dt></Bal>"
    )


def _entry(move: Move) -> str:
    sign = "CRDT" if move.direction == "credit" else "DBIT"
    other = "Dbtr" if move.direction == "credit" else "Cdtr"
    party = f"<{other}Acct><Id><Othr><Id>{move.account}</Id></Othr></Id></{other}Acct>" if move.account else ""
    reference = f"<AcctSvcrRef>{move.reference}</AcctSvcrRef>" if move.reference else ""
    returned = f"<RtrInf><Rsn><Cd>{move.returned}</Cd></Rsn></RtrInf>" if move.returned else ""
    text = f"<RmtInf><Ustrd>{move.text}</Ustrd></RmtInf>" if move.text else ""
    return (
        f"<Ntry><Amt Ccy='CNY'>{yuan(move.fen)}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>2026-03-03</Dt></BookgDt>{reference}<BkTxCd/><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{move.payment or 'NOTPROVIDED'}</EndToEndId></Refs>"
        f"{'<RltdPties>' + party + '</RltdPties>' if party else ''}{text}{returned}</TxDtls></NtryDtls></Ntry>"
    )


def pain002(
    original: str,
    answers: list[tuple[str, str]],
    *,
    message: str = "ANSWER-1",
    rows: int | None = None,
    fen: int | None = None,
    group: str = "PART",
    about: str = "pain.001.001.09",
    changes: dict[str, tuple[int, str]] | None = None,
) -> str:
    """pain.002.001.12: (payment, status) pairs; ``changes`` gives (fen, account) the bank repeats."""
    told = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{payment}</OrgnlEndToEndId><TxSts>{status}</TxSts>"
        f"{'<StsRsnInf><Rsn><Cd>AC04</Cd></Rsn></StsRsnInf>' if status == 'RJCT' else ''}"
        f"{_original(*changes[payment], about) if changes and payment in changes else ''}</TxInfAndSts>"
        for payment, status in answers
    )
    count = f"<OrgnlNbOfTxs>{rows}</OrgnlNbOfTxs>" if rows is not None else ""
    total = f"<OrgnlCtrlSum>{yuan(fen)}</OrgnlCtrlSum>" if fen is not None else ""
    information = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>P</OrgnlPmtInfId>{told}</OrgnlPmtInfAndSts>" if told else ""
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.12"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>2026-03-03T10:00:00</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{original}</OrgnlMsgId><OrgnlMsgNmId>{about}</OrgnlMsgNmId>"
        f"{count}{total}<GrpSts>{group}</GrpSts></OrgnlGrpInfAndSts>{information}"
        "</CstmrPmtStsRpt></Document>"
    )


def _original(fen: int, account: str, about: str) -> str:
    party = "DbtrAcct" if about.startswith("pain.008") else "CdtrAcct"
    return (
        f"<OrgnlTxRef><Amt><InstdAmt Ccy='CNY'>{yuan(fen)}</InstdAmt></Amt>"
        f"<{party}><Id><Othr><Id>{account}</Id></Othr></Id></{party}></OrgnlTxRef>"
    )
