"""Elements that our ISO 20022 messages share: header, account by number, agent by CNAPS code, texts in order."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from clearing import calendar
from clearing.config import Settings
from clearing.payments.money_text import yuan_of

Rows = list[dict[str, Any]]


def message_of(name: str, namespace: str) -> tuple[ET.Element, ET.Element]:
    """A document and the message in it."""
    document = ET.Element("Document", {"xmlns": namespace})
    return document, ET.SubElement(document, name)


def header(message: ET.Element, identification: str, at: int, rows: Rows, settings: Settings) -> None:
    """GrpHdr: MsgId, time, count and sum, the centre."""
    element = ET.SubElement(message, "GrpHdr")
    texts(element, MsgId=identification, CreDtTm=calendar.text_of(at))
    totals(element, rows)
    texts(ET.SubElement(element, "InitgPty"), Nm=settings.centre.name.zh)


def to_bytes(document: ET.Element) -> bytes:
    """The document as it is written, the same bytes for ever."""
    ET.indent(document, " ")
    content: bytes = ET.tostring(document, "utf-8", xml_declaration=True)
    return content + b"\n"


def totals(element: ET.Element, rows: Rows) -> None:
    """Count and sum of some instructions."""
    texts(element, NbOfTxs=str(len(rows)), CtrlSum=yuan_of(sum(row["fen"] for row in rows)))


def amount(parent: ET.Element, fen: int) -> None:
    """InstdAmt in CNY."""
    ET.SubElement(parent, "InstdAmt", {"Ccy": "CNY"}).text = yuan_of(fen)


def account(parent: ET.Element, name: str, document: dict[str, str]) -> ET.Element:
    """An account by its number."""
    element = ET.SubElement(parent, name)
    texts(ET.SubElement(ET.SubElement(element, "Id"), "Othr"), Id=document["number"])
    return element


def agent(parent: ET.Element, name: str, document: dict[str, str]) -> None:
    """The bank of an account by its CNAPS code."""
    member = ET.SubElement(ET.SubElement(ET.SubElement(parent, name), "FinInstnId"), "ClrSysMmbId")
    texts(ET.SubElement(member, "ClrSysId"), Cd="CNAPS")
    texts(member, MmbId=document["bank_code"])


def texts(parent: ET.Element, **values: str) -> None:
    """Elements of text, in order."""
    for name, text in values.items():
        ET.SubElement(parent, name).text = text
