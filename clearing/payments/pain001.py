"""pain.001.001.09, customer credit transfer initiation (ISO 20022): CNY, accounts by number, banks by CNAPS code.

Written here and not by a library: it is one fixed shape of forty lines, its bytes must be the same for ever, and the
libraries at hand bring SEPA's rules and template engines along (docs/decisions/0018). Tests validate it against the
XSDs of two packages that know nothing of this project.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from typing import Any, Final

from clearing import calendar
from clearing.config import Settings
from clearing.ledger.journal import Entry
from clearing.payments.bank_text import PROFILE
from clearing.payments.money_text import yuan_of

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"


def credit_transfers(entry: Entry, settings: Settings) -> bytes:
    """The payments of an order entry as one message; payments of one account and day are one payment information."""
    document = ET.Element("Document", {"xmlns": NAMESPACE})
    message = ET.SubElement(document, "CstmrCdtTrfInitn")
    header = ET.SubElement(message, "GrpHdr")
    _texts(header, MsgId=entry.body["message"], CreDtTm=calendar.text_of(entry.at))
    _totals(header, _payments(entry))
    _texts(ET.SubElement(header, "InitgPty"), Nm=settings.centre.name.zh)
    for name, execution, group in payment_informations(entry):
        _information(message, name, execution, group)
    ET.indent(document, " ")
    content: bytes = ET.tostring(document, "utf-8", xml_declaration=True)
    return content + b"\n"


def payment_informations(entry: Entry) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The payments of an order by account and day: PmtInfId, execution date, rows."""
    ordered = calendar.date_of(entry.at // calendar.SECONDS_PER_DAY).isoformat()
    rows = [{**row, "day": max(row["pay_date"], ordered)} for row in _payments(entry)]
    rows.sort(key=lambda row: (row["ours"]["number"], row["day"], row["payment"]))
    groups = itertools.groupby(rows, key=lambda row: (row["ours"]["number"], row["day"]))
    return [
        (f"{entry.body['message']}-{number}", day, list(group)) for number, ((_, day), group) in enumerate(groups, 1)
    ]


def _payments(entry: Entry) -> list[dict[str, Any]]:
    return [row for row in entry.body["instructions"] if row["direction"] == "pay"]


def _information(message: ET.Element, name: str, execution: str, rows: list[dict[str, Any]]) -> None:
    element = ET.SubElement(message, "PmtInf")
    _texts(element, PmtInfId=name, PmtMtd="TRF")
    _totals(element, rows)
    _texts(ET.SubElement(element, "ReqdExctnDt"), Dt=execution)
    ours = rows[0]["ours"]
    _texts(ET.SubElement(element, "Dbtr"), Nm=ours["name"])
    account = _account(element, "DbtrAcct", ours)
    _texts(account, Ccy="CNY")
    _agent(element, "DbtrAgt", ours)
    for row in rows:
        transfer = ET.SubElement(element, "CdtTrfTxInf")
        _texts(ET.SubElement(transfer, "PmtId"), EndToEndId=row["payment"])
        amount = ET.SubElement(ET.SubElement(transfer, "Amt"), "InstdAmt", {"Ccy": "CNY"})
        amount.text = yuan_of(row["fen"])
        _agent(transfer, "CdtrAgt", row["theirs"])
        _texts(ET.SubElement(transfer, "Cdtr"), Nm=row["theirs"]["name"])
        _account(transfer, "CdtrAcct", row["theirs"])
        _texts(ET.SubElement(transfer, "RmtInf"), Ustrd=f"{PROFILE.words[row['purpose']]} {row['payment']}")


def _totals(element: ET.Element, rows: list[dict[str, Any]]) -> None:
    _texts(element, NbOfTxs=str(len(rows)), CtrlSum=yuan_of(sum(row["fen"] for row in rows)))


def _account(parent: ET.Element, name: str, account: dict[str, str]) -> ET.Element:
    element = ET.SubElement(parent, name)
    _texts(ET.SubElement(ET.SubElement(element, "Id"), "Othr"), Id=account["number"])
    return element


def _agent(parent: ET.Element, name: str, account: dict[str, str]) -> None:
    member = ET.SubElement(ET.SubElement(ET.SubElement(parent, name), "FinInstnId"), "ClrSysMmbId")
    _texts(ET.SubElement(member, "ClrSysId"), Cd="CNAPS")
    _texts(member, MmbId=account["bank_code"])


def _texts(parent: ET.Element, **values: str) -> None:
    for name, text in values.items():
        ET.SubElement(parent, name).text = text
