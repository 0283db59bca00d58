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
from clearing.payments.elements import account, agent, amount, header, message_of, texts, to_bytes, totals

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"


def credit_transfers(entry: Entry, settings: Settings) -> bytes:
    """The payments of an order entry as one message; payments of one account and day are one payment information."""
    document, message = message_of("CstmrCdtTrfInitn", NAMESPACE)
    header(message, entry.body["message"], entry.at, _payments(entry), settings)
    for name, execution, group in payment_informations(entry):
        _information(message, name, execution, group)
    return to_bytes(document)


def payment_informations(entry: Entry) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The payments of an order by account and day: PmtInfId, execution date, rows."""
    return informations(entry, entry.body["message"], _payments(entry))


def informations(
    entry: Entry, message: str, listed: list[dict[str, Any]]
) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Instructions of an order by our account and day, not before the day of the order."""
    ordered = calendar.date_of(entry.at // calendar.SECONDS_PER_DAY).isoformat()
    rows = [{**row, "day": max(row["pay_date"], ordered)} for row in listed]
    rows.sort(key=lambda row: (row["ours"]["number"], row["day"], row["payment"]))
    groups = itertools.groupby(rows, key=lambda row: (row["ours"]["number"], row["day"]))
    return [(f"{message}-{number}", day, list(group)) for number, ((_, day), group) in enumerate(groups, 1)]


def _payments(entry: Entry) -> list[dict[str, Any]]:
    return [row for row in entry.body["instructions"] if row["direction"] == "pay"]


def _information(message: ET.Element, name: str, execution: str, rows: list[dict[str, Any]]) -> None:
    element = ET.SubElement(message, "PmtInf")
    texts(element, PmtInfId=name, PmtMtd="TRF")
    totals(element, rows)
    texts(ET.SubElement(element, "ReqdExctnDt"), Dt=execution)
    ours = rows[0]["ours"]
    texts(ET.SubElement(element, "Dbtr"), Nm=ours["name"])
    texts(account(element, "DbtrAcct", ours), Ccy="CNY")
    agent(element, "DbtrAgt", ours)
    for row in rows:
        transfer = ET.SubElement(element, "CdtTrfTxInf")
        texts(ET.SubElement(transfer, "PmtId"), EndToEndId=row["payment"])
        amount(ET.SubElement(transfer, "Amt"), row["fen"])
        agent(transfer, "CdtrAgt", row["theirs"])
        texts(ET.SubElement(transfer, "Cdtr"), Nm=row["theirs"]["name"])
        account(transfer, "CdtrAcct", row["theirs"])
        texts(ET.SubElement(transfer, "RmtInf"), Ustrd=f"{PROFILE.words[row['purpose']]} {row['payment']}")
