"""pain.008.001.08, customer direct debit initiation (ISO 20022): collections by a mandate of the debtor.

Only net debtors whose agreement names a mandate are debited so; the others get a list they or the bank act on. It is
a message of its own, so that an answer to it is never taken for one to the payments of the same order.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any, Final

from clearing.config import Settings
from clearing.ledger.journal import Entry
from clearing.payments.bank_text import PROFILE
from clearing.payments.elements import account, agent, amount, header, message_of, texts, to_bytes, totals
from clearing.payments.pain001 import informations

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.008.001.08"

SUFFIX: Final = "-D"
"""What its MsgId has behind that of the order."""


def direct_debits(entry: Entry, settings: Settings) -> bytes:
    """The collections by mandate of an order entry as one message, by account and day."""
    document, message = message_of("CstmrDrctDbtInitn", NAMESPACE)
    header(message, entry.body["message"] + SUFFIX, entry.at, debited(entry), settings)
    for name, day, group in debit_informations(entry):
        _information(message, name, day, group)
    return to_bytes(document)


def debit_informations(entry: Entry) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The collections by mandate of an order: PmtInfId, collection date, rows."""
    return informations(entry, entry.body["message"] + SUFFIX, debited(entry))


def debited(entry: Entry) -> list[dict[str, Any]]:
    """Instructions of an order that a mandate collects."""
    return [row for row in entry.body["instructions"] if row.get("mandate") is not None]


def _information(message: ET.Element, name: str, day: str, rows: list[dict[str, Any]]) -> None:
    element = ET.SubElement(message, "PmtInf")
    texts(element, PmtInfId=name, PmtMtd="DD")
    totals(element, rows)
    texts(ET.SubElement(element, "PmtTpInf"), SeqTp="RCUR")
    texts(element, ReqdColltnDt=day)
    ours = rows[0]["ours"]
    texts(ET.SubElement(element, "Cdtr"), Nm=ours["name"])
    texts(account(element, "CdtrAcct", ours), Ccy="CNY")
    agent(element, "CdtrAgt", ours)
    for row in rows:
        debit = ET.SubElement(element, "DrctDbtTxInf")
        texts(ET.SubElement(debit, "PmtId"), EndToEndId=row["payment"])
        amount(debit, row["fen"])
        mandate = ET.SubElement(ET.SubElement(debit, "DrctDbtTx"), "MndtRltdInf")
        texts(mandate, MndtId=row["mandate"]["id"], DtOfSgntr=row["mandate"]["signed"])
        agent(debit, "DbtrAgt", row["theirs"])
        texts(ET.SubElement(debit, "Dbtr"), Nm=row["theirs"]["name"])
        account(debit, "DbtrAcct", row["theirs"])
        texts(ET.SubElement(debit, "RmtInf"), Ustrd=f"{PROFILE.words['collect']} {row['payment']}")
