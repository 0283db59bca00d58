"""The files of an order in ``payments/``: pure functions of its entry, written again when lost."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clearing.config import Settings
from clearing.durable import write_durably
from clearing.ledger.journal import Entry
from clearing.payments.bank_text import payment_list
from clearing.payments.pain001 import credit_transfers
from clearing.payments.pain008 import debited, direct_debits


def order_documents(entry: Entry, settings: Settings) -> dict[str, bytes]:
    """Every file of an order by name: pain.001 and 报盘 for payments, pain.008 or 报盘 for collections."""
    message, instructions = entry.body["message"], entry.body["instructions"]
    documents: dict[str, bytes] = {}
    if any(each["direction"] == "pay" for each in instructions):
        documents[f"{message}.pain.001.xml"] = credit_transfers(entry, settings)
    if debited(entry):
        documents[f"{message}.pain.008.xml"] = direct_debits(entry, settings)
    for direction, suffix in _LISTS.items():
        listed = [each for each in instructions if each["direction"] == direction and not each.get("mandate")]
        if listed:
            documents[f"{message}.{suffix}.txt"] = payment_list(message, listed, entry.at)
    return documents


_LISTS: Final = {"pay": "payments", "collect": "collections"}
_PATTERNS: Final = ("*.pain.001.xml", "*.pain.008.xml", *(f"*.{suffix}.txt" for suffix in _LISTS.values()))


def order_files(directory: Path) -> list[Path]:
    """All files of orders that lie in a centre's folder."""
    return sorted(path for pattern in _PATTERNS for path in (directory / "payments").glob(pattern))


def write_order_files(directory: Path, entry: Entry, settings: Settings) -> list[Path]:
    """Write the files of an order that are not there; returns all of its paths."""
    paths = []
    for name, content in order_documents(entry, settings).items():
        path = directory / "payments" / name
        if not path.exists():
            write_durably(path, content)
        paths.append(path)
    return paths
