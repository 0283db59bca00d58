"""What a sender gets back after clearing: result receipt and record-level feedback, in ``outbox/<sender>/``.

Both follow from a batch entry and its segments alone, so a lost one is written again, byte for byte.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from card_io.delivery.acknowledgement import DISPOSITIONS, Tally, acknowledgement, result_receipt
from clearing import grouping
from clearing.calendar import text_of
from clearing.durable import WriteBehind
from clearing.intake import bytes_of, manifest_of_entry
from clearing.ledger.journal import Entry
from clearing.records import Rows, row_money
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition

FEEDBACK_FIELDS: Final = (
    ("status", np.int16),
    ("disposition", np.uint8),
    ("price_verdict", np.uint8),
    ("card_paid", np.int64),
    ("fund_paid", np.int64),
    ("overcharge", np.int64),
)


class Feedback:
    """Record-level results of one file, filled block by block; row i−1 is source row i."""

    def __init__(self, rows: int) -> None:
        self.columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(rows, dtype) for name, dtype in FEEDBACK_FIELDS}
        self.amount = np.zeros(rows, np.int64)
        self._open = rows

    @property
    def complete(self) -> bool:
        """Whether every row of the file has its result."""
        return self._open == 0

    def take(self, rows: Rows, part: slice | npt.NDArray[np.int64]) -> None:
        """Take the results of rows of this file: a part of those given."""
        source = (rows["txn_id"][part] & 0xFFFFFFFF) - 1
        for name, _ in FEEDBACK_FIELDS:
            self.columns[name][source] = rows[name][part]
        self.amount[source] = row_money(rows.service, rows.columns)[part]
        self._open -= len(source)

    def take_unreadable(self, source_row: npt.NDArray[np.int64]) -> None:
        """Mark rows that could not be decoded."""
        self.columns["status"][source_row - 1] = ClearingStatus.UNREADABLE
        self.columns["disposition"][source_row - 1] = Disposition.UNREADABLE
        self._open -= len(source_row)

    def results(self, amount_fen: int | None) -> list[list[int | None]]:
        """[status, disposition, rows, fen] per outcome; unreadable fen = control total − readable, None without."""
        assert np.all(self.columns["disposition"] > 0), "every input row ends in exactly one disposition"
        codes, group = grouping.dense(self.columns["status"].astype(np.int64) * 16 + self.columns["disposition"])
        count, total = grouping.sums(group, len(codes), self.amount)
        found: list[list[int | None]] = []
        for code, rows, amount in zip(codes.tolist(), count.tolist(), total.tolist(), strict=True):
            fen: int | None = amount
            if code % 16 == Disposition.UNREADABLE:
                fen = None if amount_fen is None else amount_fen - int(self.amount.sum())
            found.append([code // 16, code % 16, rows, fen])
        return found

    def content(self) -> bytes:
        """The feedback as Parquet: one row per source row, in file order.

        Dictionaries of few values are smaller than what a codec makes of the columns, in half the time.
        """
        rows = len(self.amount)
        columns = {"source_row": np.arange(1, rows + 1, dtype=np.uint32), **self.columns}
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
        file = io.BytesIO()
        pq.write_table(
            table,
            file,
            compression="none",
            use_dictionary=list(self.columns),
            column_encoding={"source_row": "DELTA_BINARY_PACKED"},
            write_statistics=False,
            store_schema=False,
        )
        return file.getvalue()


def acknowledgement_path(outbox: Path, entry: Entry) -> Path | None:
    """Where a delivery's acknowledgement lies; None when the manifest does not say who sent it."""
    if "sender" not in entry.body:
        return None
    return outbox / str(entry.body["sender"]) / f"{entry.body['file_no']:08d}.acknowledgement.json"


def acknowledgement_exists(outbox: Path, entry: Entry) -> bool:
    """Whether nothing is left to do for a delivery's acknowledgement."""
    path = acknowledgement_path(outbox, entry)
    return path is None or path.exists()


def acknowledgement_document(entry: Entry) -> bytes:
    """The answer to a delivery's arrival."""
    manifest = manifest_of_entry(entry)
    assert manifest is not None
    body = entry.body
    document = acknowledgement(
        manifest,
        received_at=text_of(entry.at),
        outcome=body["outcome"],
        reason=body["reason"],
        remedy=body["remedy"],
    )
    return bytes_of(document)


def write_acknowledgement(outbox: Path, entry: Entry, disk: WriteBehind) -> None:
    """Begin to put the acknowledgement into the sender's outbox."""
    path = acknowledgement_path(outbox, entry)
    if path is not None:
        disk.write(path, acknowledgement_document(entry))


def receipt_path(outbox: Path, sender: int, file_no: int) -> Path:
    """Where a file's result receipt lies."""
    return outbox / str(sender) / f"{file_no:08d}.receipt.json"


def write_receipt(outbox: Path, intake: Entry, results: list[list[int | None]], disk: WriteBehind) -> None:
    """Begin to put the result receipt into the sender's outbox; what it speaks of must be there before."""
    path = receipt_path(outbox, intake.body["sender"], intake.body["file_no"])
    disk.write(path, receipt_document(intake, results))


def receipt_document(intake: Entry, results: list[list[int | None]]) -> bytes:
    """The account of every row of a cleared file, with a sentence per status in both languages."""
    manifest = manifest_of_entry(intake)
    assert manifest is not None
    document = result_receipt(
        manifest, received_at=text_of(intake.at), outcome="cleared", dispositions=_tallies(results)
    )
    document["statuses"] = [
        {
            "status": ClearingStatus(status).name,
            "disposition": Disposition(disposition).name.lower(),
            "rows": rows,
            "fen": fen,
            "zh": STATUS_TEXT[ClearingStatus(status)].zh,
            "en": STATUS_TEXT[ClearingStatus(status)].en,
        }
        for status, disposition, rows, fen in results
        if status is not None and disposition is not None
    ]
    return bytes_of(document)


def _tallies(results: list[list[int | None]]) -> dict[str, Tally]:
    tallies = {name: Tally(0, 0) for name in DISPOSITIONS}
    for _, disposition, rows, fen in results:
        name = Disposition(disposition or 0).name.lower()
        before = tallies[name]
        total = None if fen is None or before.fen is None else before.fen + fen
        tallies[name] = Tally(before.rows + (rows or 0), total)
    return tallies


def feedback_path(outbox: Path, sender: int, file_no: int) -> Path:
    """Where a file's record-level feedback lies."""
    return outbox / str(sender) / f"{file_no:08d}.feedback.parquet"


def feedback_agrees(path: Path, feedback: Feedback) -> bool:
    """Whether a feedback file says what the segments say."""
    try:
        table = pq.read_table(path)
        columns = {name: table.column(name).to_numpy() for name in feedback.columns}
    except (OSError, KeyError, pa.ArrowInvalid):
        return False
    return len(table) == len(feedback.amount) and all(
        np.array_equal(columns[name], values) for name, values in feedback.columns.items()
    )


def write_feedback(outbox: Path, intake: Entry, content: bytes, disk: WriteBehind) -> None:
    """Begin to put a file's record-level feedback into the sender's outbox."""
    disk.write(feedback_path(outbox, intake.body["sender"], intake.body["file_no"]), content)
