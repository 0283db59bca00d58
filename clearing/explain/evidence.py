"""Where a transaction lies: its intake entry, the segments that hold it, the configuration that decided it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from card_io.keys.errors import SignatureError
from card_io.records import Service
from clearing import calendar
from clearing.archive import file_sha256
from clearing.caches import with_identities
from clearing.centre import Centre
from clearing.config import RESERVE, load_settings
from clearing.errors import ClearingError, EvidenceError
from clearing.explain.model import Party, SealedEntry, SealedFile, Text
from clearing.intake import Outcome
from clearing.ledger.journal import Entry
from clearing.ledger.projection import PRIVATE_NAME
from clearing.ledger.segments import read_segment
from clearing.posting import Chart
from clearing.pricing import PriceBook
from clearing.records import Rows
from clearing.registers import load_registers
from clearing.store import Store

ROWS_MAX: Final = 2**32
_REFERENCE: Final = re.compile(r"(?:(?P<file>\d{1,9}):(?P<row>\d{1,10})|(?P<txn>\d{1,18}))", re.ASCII)
_SERVICES: Final = frozenset(service.name.lower() for service in Service)
_UNKNOWN: Final = Text("未登记", "not registered")
_RESERVE_NAME: Final = Text("备付金", "reserve")


@dataclass(frozen=True, slots=True)
class Stored:
    """Decided rows of one segment, with the batch entry that sealed it."""

    batch: Entry
    segment: dict[str, Any]
    rows: Rows


def txn_id_of(text: str) -> int:
    """The handle that ``FILE_NO:ROW`` or an integer names (raises ClearingError for anything else)."""
    match = _REFERENCE.fullmatch(text.strip())
    txn_id = -1
    if match is not None and match["txn"]:
        txn_id = int(match["txn"])
    elif match is not None and int(match["row"]) < ROWS_MAX:
        txn_id = int(match["file"]) * ROWS_MAX + int(match["row"])
    if txn_id < ROWS_MAX or txn_id % ROWS_MAX == 0:
        raise ClearingError(
            "no name of a transaction", where=text, remedy="give FILE_NO:ROW, for example 12:345, or its txn_id"
        )
    return txn_id


def reference_of(txn_id: int) -> str:
    """``FILE_NO:ROW`` of a handle."""
    return f"{txn_id // ROWS_MAX}:{txn_id % ROWS_MAX}"


def intake_of(centre: Centre, txn_id: int) -> Entry:
    """The intake entry of a transaction's file.

    Raises:
        ClearingError: no such file or row, or the file was refused as a whole.
    """
    file_no, row = divmod(txn_id, ROWS_MAX)
    entry = next((e for e in centre.journal.of_kind("intake") if e.body["file_no"] == file_no), None)
    if entry is None:
        known = sum(1 for _ in centre.journal.of_kind("intake"))
        raise ClearingError(
            f"there is no file {file_no}", where=reference_of(txn_id), remedy=f"file numbers run from 1 to {known}"
        )
    if entry.body["outcome"] != Outcome.RECEIVED:
        raise ClearingError(
            f"file {file_no} was not received ({entry.body['outcome']}): none of its rows became a transaction",
            where=reference_of(txn_id),
            remedy=str(entry.body["remedy"]),
        )
    if row > entry.body["rows"]:
        raise ClearingError(
            f"file {file_no} has no row {row}",
            where=reference_of(txn_id),
            remedy=f"its rows run from 1 to {entry.body['rows']}",
        )
    return entry


class Evidence:
    """The journal's segments and the published projection, opened for reading."""

    def __init__(self, centre: Centre, store: Store) -> None:
        self.centre, self.store = centre, store
        self._named = {
            f"segments/{segment['name']}": (entry, segment)
            for entry in centre.journal.of_kind("batch")
            for segment in entry.body["segments"]
        }

    @classmethod
    def open(cls, centre: Centre) -> Evidence:
        """Evidence over the published projection, which no run blocks (raises ClearingError when it is lost)."""
        return cls(centre, Store(centre.directory / PRIVATE_NAME, centre.directory, read_only=True))

    def close(self) -> None:
        """Close the projection."""
        self.store.close()

    def holding(
        self, column: str, value: int, kinds: frozenset[str] = _SERVICES
    ) -> list[tuple[Entry, dict[str, Any]]]:
        """Batch entry and segment wherever ``column`` has ``value``, in journal order."""
        paths = [path for path in self._named if path.split("/")[1] in kinds]
        if not paths:
            return []
        found = self.store.run(
            "SELECT DISTINCT filename FROM read_parquet($paths, filename = true, union_by_name = true)"
            f' WHERE "{column}" = $value',
            {"paths": paths, "value": value},
        )
        names = {"/".join(Path(path).parts[-3:]) for (path,) in found}
        return [self._named[path] for path in paths if path in names]

    def rows(self, column: str, value: int) -> Iterator[Stored]:
        """Decided rows whose ``column`` has ``value``, with their identities."""
        folder = self.centre.directory / "segments"
        for batch, segment in self.holding(column, value):
            kind, file = segment["name"].split("/")
            rows = read_segment(folder, segment["name"], bills=f"bill/{file}" if kind == "utility" else None)
            rows = with_identities(self.centre, rows.take(np.flatnonzero(rows[column] == value)))
            yield Stored(batch, segment, rows)

    def decisions(self, txn_id: int) -> list[Stored]:
        """Every recorded event of a transaction, oldest first; a reversal before what replaces it."""
        events = [
            replace(stored, rows=stored.rows.take(np.array([at])))
            for stored in self.rows("txn_id", txn_id)
            for at in range(len(stored.rows))
        ]
        return sorted(events, key=lambda each: (each.batch.sequence, int(each.rows["sign"][0])))

    def unreadable(self, txn_id: int) -> tuple[Entry, dict[str, Any]] | None:
        """Batch entry and segment that list the row as unreadable."""
        return next(iter(self.holding("txn_id", txn_id, frozenset({"unreadable"}))), None)


def centre_of_batch(centre: Centre, batch: Entry) -> Centre:
    """The centre with settings, registers and tariffs as the batch archived them, whatever they are today.

    Raises:
        EvidenceError: an archived copy that differs from today's file is missing or changed.
    """
    today = {str(path.relative_to(centre.directory)): file_sha256(path) for path in centre.configuration_files()}
    if today == batch.body["configuration"]:
        return centre
    with tempfile.TemporaryDirectory(dir=centre.directory / "work") as name:
        folder = Path(name)
        for relative, digest in batch.body["configuration"].items():
            copy = (centre.archive.folder / "config" / digest).resolve()
            if not copy.exists() or file_sha256(copy) != digest:
                raise EvidenceError(
                    f"the archived {relative} of entry {batch.sequence} is missing or changed",
                    where=copy,
                    remedy="restore it from backup",
                )
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            (folder / relative).symlink_to(copy)
        settings = load_settings(folder)
        return replace(
            centre,
            settings=settings,
            registers=load_registers(folder, settings),
            prices=PriceBook.load(folder, settings),
            chart=Chart.of(settings),
        )


def sealed_entry(centre: Centre, entry: Entry) -> SealedEntry:
    """An entry as an explanation names it, its signature checked."""
    try:
        centre.signing.verify_key.verify(bytes.fromhex(entry.signature), entry.signing_bytes())
        fits = True
    except (SignatureError, ValueError):
        fits = False
    return SealedEntry(entry.sequence, entry.kind, calendar.text_of(entry.at), entry.digest, fits)


def sealed_segment(centre: Centre, segment: dict[str, Any]) -> SealedFile:
    """A segment as an explanation names it, its bytes hashed again."""
    path = centre.directory / "segments" / segment["name"]
    return SealedFile(segment["name"], segment["sha256"], path.exists() and file_sha256(path) == segment["sha256"])


def party_of(centre: Centre, number: int) -> Party:
    """A participant by number; one nobody registered says so."""
    for participant in centre.settings.participants:
        if participant.id == number:
            return Party(number, Text(participant.name.zh, participant.name.en))
    return Party(number, _UNKNOWN)


def money_source(centre: Centre, number: int) -> Party:
    """A source of money: the reserve, or a fund or insurer."""
    return Party(number, _RESERVE_NAME) if number == RESERVE else party_of(centre, number)
