"""ISO 20022 messages of banks: pain.002.001.03/.12, camt.053.001.08 and camt.054.001.08 (other versions read alike).

Elements are found by their names whatever the version of the namespace; what decides is required and checked. A
document type declaration is refused: it could only be an attack.
"""

from __future__ import annotations

import datetime
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final, Literal

from clearing.bank.messages import Answer, Answers, BankFile, BankFileError, Line, Statement
from clearing.payments.money_text import fen_of

_NAMESPACE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(?P<kind>pain\.002|camt\.053|camt\.054)\.001\.\d\d")
_REJECTED: Final = frozenset({"RJCT", "CANC"})
_ACCEPTED: Final = frozenset({"ACTC", "ACCP", "ACSP", "ACSC", "ACWC", "ACFC", "ACCC", "PDNG", "RCVD", "PATC"})
_NOT_GIVEN: Final = frozenset({"", "NOTPROVIDED", "NOTAVAILABLE"})


def read_iso20022(content: bytes) -> BankFile:
    """A pain.002, camt.053 or camt.054 message.

    Raises:
        BankFileError: ``unreadable`` naming the element, ``wrong_currency``, ``wrong_sum``.
    """
    if b"<!DOCTYPE" in content:
        raise BankFileError("unreadable", "the file declares a document type")
    try:
        root = ET.fromstring(content)
    except ET.ParseError as exc:
        raise BankFileError("unreadable", f"not XML: {exc}") from exc
    found = _NAMESPACE.match(root.tag.removeprefix("{").split("}")[0])
    if found is None:
        raise BankFileError("unreadable", f"{root.tag} is no message of a bank that is known here")
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    try:
        if found["kind"] == "pain.002":
            return _status_report(root)
        return _statements(root, found["kind"])
    except ValueError as exc:
        raise BankFileError("unreadable", str(exc)) from exc


def _status_report(root: ET.Element) -> BankFile:
    report = _one(root, "CstmrPmtStsRpt")
    group = _one(report, "OrgnlGrpInfAndSts")
    status = group.findtext("GrpSts", "")
    reason = _reason(group)
    debtor = group.findtext("OrgnlMsgNmId", "").startswith("pain.008")
    answers = tuple(
        answer for information in report.findall("OrgnlPmtInfAndSts") for answer in _information(information, debtor)
    )
    rows = group.findtext("OrgnlNbOfTxs")
    total = group.findtext("OrgnlCtrlSum")
    if not answers and status and status not in _REJECTED | _ACCEPTED:
        raise ValueError(f"group status {status} without a transaction")
    original = Answers(
        original=_text(group, "OrgnlMsgId"),
        listed=answers,
        rows=None if rows is None else int(rows),
        fen=None if total is None else fen_of(total),
        rejected=(reason or status) if status in _REJECTED else None,
    )
    return BankFile("pain.002", _text(_one(report, "GrpHdr"), "MsgId"), answers=(original,))


def _information(information: ET.Element, debtor: bool) -> Iterator[Answer]:
    """Answers of one payment information; a status of the whole holds for transactions without their own.

    The other side's account is the creditor's of a transfer, the debtor's of a direct debit.
    """
    party = "DbtrAcct" if debtor else "CdtrAcct"
    whole = information.findtext("PmtInfSts", "")
    told = information.findall("TxInfAndSts")
    if not told and whole in _REJECTED | _ACCEPTED:
        result: Literal["accepted", "rejected"] = "rejected" if whole in _REJECTED else "accepted"
        yield Answer("", result, _reason(information) or whole, information=_text(information, "OrgnlPmtInfId"))
    for transaction in told:
        status = transaction.findtext("TxSts", whole)
        if status not in _REJECTED | _ACCEPTED:
            raise ValueError(f"transaction status {status or '(none)'} is not known")
        amount = transaction.find("OrgnlTxRef/Amt/InstdAmt")
        result = "rejected" if status in _REJECTED else "accepted"
        yield Answer(
            payment=_text(transaction, "OrgnlEndToEndId"),
            result=result,
            reason=_reason(transaction) or _reason(information) or status,
            fen=None if amount is None else _fen(amount),
            account=_account(transaction.find(f"OrgnlTxRef/{party}")),
        )


def _reason(element: ET.Element) -> str:
    information = element.find("StsRsnInf")
    if information is None:
        return ""
    code = information.findtext("Rsn/Cd") or information.findtext("Rsn/Prtry") or ""
    return " ".join([code, *(each.text or "" for each in information.findall("AddtlInf"))]).strip()


def _statements(root: ET.Element, kind: str) -> BankFile:
    body = _one(root, "BkToCstmrStmt" if kind == "camt.053" else "BkToCstmrDbtCdtNtfctn")
    statements = body.findall("Stmt" if kind == "camt.053" else "Ntfctn")
    if not statements:
        raise ValueError("the message holds no statement")
    message = _text(_one(body, "GrpHdr"), "MsgId")
    return BankFile(kind, message, statements=tuple(_statement(each, kind) for each in statements))


def _statement(element: ET.Element, kind: str) -> Statement:
    account = _account(_one(element, "Acct"))
    if account is None:
        raise ValueError("a statement names no account")
    currency = element.findtext("Acct/Ccy", "CNY")
    if currency != "CNY":
        raise BankFileError("wrong_currency", f"account {account} is kept in {currency}")
    balances = {_balance_kind(balance): balance for balance in element.findall("Bal")}
    opening = closing = dated = None
    if kind == "camt.053":
        first = balances.get("OPBD", balances.get("PRCD"))
        last = balances.get("CLBD")
        if first is None or last is None:
            raise ValueError("a statement without opening or closing booked balance")
        opening, closing, dated = _signed(first), _signed(last), _date(last.find("Dt"))
    lines = tuple(
        line
        for entry in element.findall("Ntry")
        if (entry.findtext("Sts/Cd") or entry.findtext("Sts") or "BOOK").strip() == "BOOK"
        for line in _lines(entry)
    )
    return Statement(account, _text(element, "Id"), lines, opening, closing, dated)


def _balance_kind(balance: ET.Element) -> str:
    return balance.findtext("Tp/CdOrPrtry/Cd", "")


def _lines(entry: ET.Element) -> Iterator[Line]:
    """The movements of an entry: one, or those of its details when they are told and sum to it."""
    fen, direction = _fen(_one(entry, "Amt")), _direction(entry)
    booked = _date(entry.find("BookgDt"))
    reference = entry.findtext("AcctSvcrRef") or entry.findtext("NtryRef") or ""
    details = entry.findall("NtryDtls/TxDtls")
    amounts = [fen] if len(details) < 2 else [_fen(_detail_amount(each)) for each in details]
    if sum(amounts) != fen:
        raise BankFileError("wrong_sum", f"the details of entry {reference or '?'} do not sum to its amount")
    for number, (amount, detail) in enumerate(zip(amounts, details or [entry], strict=True), 1):
        end_to_end = (detail.findtext("Refs/EndToEndId") or "").strip()
        other = "Cdtr" if direction == "debit" else "Dbtr"
        own = detail.findtext("Refs/AcctSvcrRef")
        yield Line(
            direction=direction,
            fen=amount,
            payment="" if end_to_end in _NOT_GIVEN else end_to_end,
            text=" ".join(each.text or "" for each in detail.findall("RmtInf/Ustrd")),
            reference=own or (f"{reference}/{number}" if reference and len(details) > 1 else reference),
            account=_account(detail.find(f"RltdPties/{other}Acct")),
            reason=detail.findtext("RtrInf/Rsn/Cd") or entry.findtext("RtrInf/Rsn/Cd") or "",
            booked=booked,
        )


def _detail_amount(detail: ET.Element) -> ET.Element:
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        found = detail.find(path)
        if found is not None:
            return found
    raise ValueError("a batch-booked entry without an amount for each transaction")


def _direction(element: ET.Element) -> Literal["credit", "debit"]:
    found = {"CRDT": "credit", "DBIT": "debit"}.get(_text(element, "CdtDbtInd"))
    if found is None:
        raise ValueError("CdtDbtInd is CRDT or DBIT")
    return "credit" if found == "credit" else "debit"


def _signed(balance: ET.Element) -> int:
    fen = _fen(_one(balance, "Amt"))
    return fen if _direction(balance) == "credit" else -fen


def _fen(amount: ET.Element) -> int:
    currency = amount.get("Ccy", "CNY")
    if currency != "CNY":
        raise BankFileError("wrong_currency", f"an amount in {currency}")
    return fen_of(amount.text or "")


def _account(element: ET.Element | None) -> str | None:
    if element is None:
        return None
    return element.findtext("Id/Othr/Id") or element.findtext("Id/IBAN")


def _date(element: ET.Element | None) -> datetime.date | None:
    text = None if element is None else element.findtext("Dt") or element.findtext("DtTm")
    return None if text is None else datetime.date.fromisoformat(text[:10])


def _one(element: ET.Element, name: str) -> ET.Element:
    found = element.find(name)
    if found is None:
        raise ValueError(f"{element.tag} has no {name}")
    return found


def _text(element: ET.Element, name: str) -> str:
    text = (element.findtext(name) or "").strip()
    if not text:
        raise ValueError(f"{element.tag} has no {name}")
    return text
