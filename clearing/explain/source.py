"""The row as it was delivered, decoded again from the encrypted archive, and shown without its card number."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np

from card_io.delivery.classes import read_classes
from card_io.delivery.manifest import PARQUET, Manifest
from card_io.delivery.parquet import read_exchange
from card_io.delivery.reader import read_delivery
from card_io.records import (
    BILL_FIELDS,
    NULL,
    Algorithm,
    Columns,
    Commodity,
    Field,
    Mode,
    PurseKind,
    RecordBlock,
    RecordState,
    TxnType,
    UnreadableRow,
    fields_of,
    mask_card,
)
from clearing.calendar import text_of
from clearing.centre import Centre
from clearing.errors import EvidenceError
from clearing.explain.model import SealedFile, Source, SourceColumn, Unreadable
from clearing.intake import manifest_of_entry
from clearing.ledger.journal import Entry
from clearing.resolve import Delivered

_HEX_DIGITS: Final = {"issuer_id": 16, "terminal_id": 12, "tac": 8, "date4": 8, "time3": 6}
"""Columns whose integer stands for raw bytes, with their hex digits."""

_ENUMERATED: Final[dict[str, type[IntEnum]]] = {
    "purse_kind": PurseKind,
    "record_state": RecordState,
    "txn_type": TxnType,
    "algorithm": Algorithm,
    "mode": Mode,
    "commodity": Commodity,
}
_WALL_SECONDS: Final = frozenset({"entry_time"})
_CARD_LIKE: Final = re.compile(r"\d{14,}")


@dataclass(frozen=True, slots=True)
class DeliveredRow:
    """One row of an archived delivery: a block of exactly this row, or why it could not be decoded."""

    delivered: Delivered
    file: SealedFile
    block: RecordBlock | None
    unreadable: UnreadableRow | None
    exchange_sha256: str | None


def delivered_row(centre: Centre, intake: Entry, row: int) -> DeliveredRow:
    """Decode one row of a received file again.

    Raises:
        SealedFileError: the archived file was changed.
        EvidenceError: the archived file is missing, or does not have the row any more.
    """
    body, manifest = intake.body, manifest_of_entry(intake)
    assert manifest is not None, "a received file has a manifest"
    path = centre.archive.path_of(body["file_no"])
    if not path.exists():
        raise EvidenceError("the archived delivery is missing", where=path, remedy="restore it from backup")
    content = centre.archive.load(body["file_no"])
    with tempfile.TemporaryDirectory(dir=centre.directory / "work") as name:
        data = Path(name) / body["file"]
        data.write_bytes(content)
        sidecar = None
        if "classes" in body["archived"]:
            classes = Path(name) / (body["file"] + ".classes.csv")
            classes.write_bytes(centre.archive.load(body["file_no"], kind="classes"))
            sidecar = read_classes(classes, data_sha256=manifest.sha256, rows=manifest.rows)
        found = _find(centre, data, manifest, row)
        exchange = read_exchange(data, row) if manifest.format == PARQUET else None
    delivered = Delivered(body["sender"], intake.at, body["whole_row"], body["multiplicity"], sidecar)
    named = None if exchange is None else exchange.hex()
    sealed = SealedFile(body["file"], body["sha256"], hashlib.sha256(content).hexdigest() == body["sha256"])
    if isinstance(found, UnreadableRow):
        return DeliveredRow(delivered, sealed, None, found, named)
    return DeliveredRow(delivered, sealed, found, None, named)


def _find(centre: Centre, data: Path, manifest: Manifest, row: int) -> RecordBlock | UnreadableRow:
    for block, unreadable in read_delivery(data, manifest, centre.profile_folders):
        for each in unreadable:
            if each.source_row == row:
                return each
        at = int(np.searchsorted(block.source_row, row))
        if at < len(block) and block.source_row[at] == row:
            return _cut(block, at)
    raise EvidenceError(f"row {row} is not in the archived file", where=data.name, remedy="run: clearing verify")


def _cut(block: RecordBlock, at: int) -> RecordBlock:
    """A block of one row, its bills with it."""
    mine = block.bills["bill_row"] == at
    bills = {name: values[mine] for name, values in block.bills.items()}
    return replace(
        block,
        source_row=block.source_row[[at]],
        card_number=block.card_number[[at]],
        card_digits=block.card_digits[[at]],
        card_text={0: block.card_text[at]} if at in block.card_text else {},
        columns={name: values[[at]] for name, values in block.columns.items()},
        bills={**bills, "bill_row": np.zeros(int(mine.sum()), np.int64)},
    )


def card_of(block: RecordBlock) -> str:
    """The card number or opaque text of a block of one row."""
    return block.card_text.get(0) or f"{int(block.card_number[0]):0{int(block.card_digits[0])}d}"


def source_of(block: RecordBlock, card_id: int, exchange_sha256: str | None, *, unmask: bool) -> Source:
    """A block of one row as an explanation shows it."""
    card = card_of(block)
    bills = range(len(block.bills["bill_row"]))
    return Source(
        card=card if unmask else mask_card(card),
        unmasked=unmask,
        card_id=f"{card_id:016x}",
        exchange_sha256=exchange_sha256,
        columns=_shown(fields_of(block.service), block.columns, 0),
        bills=tuple(_shown(BILL_FIELDS, block.bills, at) for at in bills),
    )


def _shown(fields: tuple[Field, ...], columns: Columns, at: int) -> tuple[SourceColumn, ...]:
    return tuple(_column(field, int(columns[field.name][at])) for field in fields)


def _column(field: Field, value: int) -> SourceColumn:
    if value == NULL:
        return SourceColumn(field.name, None, None, field.meaning)
    digits = _HEX_DIGITS.get(field.name)
    shown = value if digits is None else f"{value:0{digits}x}"
    return SourceColumn(field.name, shown, _label(field.name, value), field.meaning)


def _label(name: str, value: int) -> str | None:
    if name in _WALL_SECONDS:
        return text_of(value)
    enum = _ENUMERATED.get(name)
    return next((member.name for member in enum if member == value), None) if enum is not None else None


def unreadable_of(row: UnreadableRow, *, unmask: bool) -> Unreadable:
    """The reason of an unreadable row; unless unmasked, nothing in it that may be a card number."""
    value = row.value
    if not unmask:
        masked = _CARD_LIKE.sub(lambda digits: mask_card(digits[0]), value)
        value = "****" if row.field == "card_no" else masked
    return Unreadable(row.field, value, row.remedy)
