"""The row-local half of intake: read, check, decode, resolve, climb the ladder, price, archive (pass 1).

It needs no other delivery, so many run at once. Deliveries whose rows mean the same to the stages are prepared as one
:class:`Lot` (:func:`clearing.arrivals.lots_of`): their rows go through together.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from card_io.delivery.classes import read_classes
from card_io.delivery.columns import Decoded
from card_io.delivery.errors import (
    ClassesError,
    DeliveryError,
    DeliveryFormatError,
    EmptyDeliveryError,
    ManifestError,
)
from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import Manifest
from card_io.delivery.reader import profile_of, read_delivery
from card_io.records import RecordBlock, Service
from clearing import checks, pricing
from clearing.arrivals import LOT_ROWS, Arrival
from clearing.cards import CardRows
from clearing.centre import Centre
from clearing.content import RowHashes, add_roots
from clearing.intake import Outcome, Prepared, Refusal, check_bytes, check_sender, check_totals, manifest_of
from clearing.ledger.journal import Entry
from clearing.records import Rows, row_money
from clearing.resolve import Delivered, resolve, txn_ids

Sections = tuple[tuple[int, int], ...]
"""Whose the rows of a block are, in order: (file number, rows)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A block of resolved, laddered and priced rows, their cards, and whose they are."""

    rows: Rows
    cards: CardRows
    sections: Sections


class Lot:
    """Deliveries that are prepared together.

    ``judged`` holds the rows of all ``files``, those of a file that was refused once its rows were known too.
    """

    def __init__(self, centre: Centre) -> None:
        """No file yet."""
        self.files: list[Prepared] = []
        self.judged: list[Judged] = []
        self._centre = centre
        self._service: Service | None = None
        self._delivered: Delivered | None = None
        self._decoded: list[tuple[Prepared, RecordBlock]] = []
        self._rows = 0

    def decode(self, file: Prepared, data: Path, classes: Path | None) -> None:
        """Take a file's rows; they are judged when there are enough, at the latest by :meth:`finish`.

        Raises:
            Refusal: the file cannot be decoded.
        """
        manifest, folders = file.manifest, self._centre.profile_folders
        assert manifest is not None
        with _refused():
            rules = file.rules = profile_of(manifest.format, folders)
            sidecar = read_classes(classes, data_sha256=manifest.sha256, rows=manifest.rows) if classes else None
        whole_row = rules.identity == "whole_row"
        delivered = Delivered(manifest.sender, file.received_at, whole_row, rules.multiplicity, sidecar)
        if sidecar is not None or (manifest.record_service, delivered) != (self._service, self._delivered):
            # The manifest of this moment decides, whatever was there when lots were formed.
            self.finish()
        self._service, self._delivered = manifest.record_service, delivered
        blocks = read_delivery(data, manifest, folders)
        while (decoded := _next(blocks)) is not None:
            block, unreadable = decoded
            file.unreadable.extend(unreadable)
            file.readable += len(block)
            file.readable_fen += int(row_money(block.service, block.columns).sum())
            if self._rows + len(block) > LOT_ROWS:
                self.finish()
            self._decoded.append((file, block))
            self._rows += len(block)
        if sidecar is not None:
            self.finish()

    def finish(self) -> None:
        """Judge what still waits."""
        if not self._decoded:
            return
        centre, delivered = self._centre, self._delivered
        assert delivered is not None
        files, blocks = zip(*self._decoded, strict=True)
        self._decoded, self._rows = [], 0
        block = RecordBlock.joined(blocks)
        txn_id = np.concatenate([txn_ids(f.file_no, b.source_row) for f, b in zip(files, blocks, strict=True)])
        context = centre.context(delivered.sender, delivered.received_at)
        rows = resolve(block, txn_id, delivered, context, centre.keys)
        sections = tuple((file.file_no, len(part)) for file, part in zip(files, blocks, strict=True))
        start = 0
        for file, (_, count) in zip(files, sections, strict=True):
            part = slice(start, start + count)
            content = RowHashes(rows["content_lo"][part], rows["content_hi"][part])
            file.root = add_roots(file.root, content.root())
            start += count
        self.judged.append(Judged(judge(centre, rows, context), CardRows.of(block, rows["card_id"]), sections))


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """What a codec finds wrong with a file, as the outcome of its delivery."""
    try:
        yield
    except EmptyDeliveryError as exc:
        raise Refusal(Outcome.EMPTY_FILE, exc.what, exc.remedy) from exc
    except (DeliveryFormatError, ClassesError, ManifestError) as exc:
        raise Refusal(Outcome.WRONG_COLUMNS, exc.what, exc.remedy) from exc
    except DeliveryError as exc:
        raise Refusal(Outcome.UNKNOWN_PROFILE, exc.what, exc.remedy) from exc


def _next(blocks: Iterator[Decoded]) -> Decoded | None:
    with _refused():
        return next(blocks, None)


def prepare(centre: Centre, arrivals: list[Arrival], first_file_no: int) -> Lot:
    """Everything about waiting deliveries that needs no other delivery; refusals are outcomes, not errors.

    Their files for the archive are begun to be written; :func:`settle_archived` waits for them.

    Args:
        centre: the centre they are delivered to.
        arrivals: deliveries that join each other.
        first_file_no: number of the first; the others follow.
    """
    lot = Lot(centre)
    for file_no, arrival in enumerate(arrivals, first_file_no):
        lot.files.append(_prepare_one(lot, centre, arrival.delivery, file_no, arrival.received_at))
    lot.finish()
    return lot


def _prepare_one(lot: Lot, centre: Centre, delivery: Delivery, file_no: int, received_at: int) -> Prepared:
    file = Prepared(file_no, received_at, None, name=delivery.data.name)
    content, manifest_bytes = delivery.data.read_bytes(), delivery.manifest.read_bytes()
    classes = delivery.classes.read_bytes() if delivery.classes else None
    try:
        file.manifest = manifest_of(delivery)
        check_sender(centre, file)
        check_bytes(file.manifest, content, classes)
        lot.decode(file, delivery.data, delivery.classes)
        check_totals(file)
    except Refusal as refusal:
        file.refuse(refusal.outcome, refusal.reason, refusal.remedy)
    archive, disk = centre.archive, centre.disk
    file.archived["data"] = archive.store(file_no, content, disk)
    file.archived["manifest"] = archive.store_manifest(file_no, manifest_bytes, disk)
    if classes is not None:
        file.archived["classes"] = archive.store(file_no, classes, disk, kind="classes")
    return file


def settle_archived(centre: Centre, file: Prepared) -> None:
    """Wait until what was delivered is in the archive: before that, nothing is received."""
    centre.disk.settle(*(centre.archive.path_of(file.file_no, kind) for kind in file.archived))


def prepare_again(centre: Centre, entry: Entry) -> Lot:
    """A delivery received by an earlier command, from the archive, alone."""
    body = entry.body
    lot = Lot(centre)
    with tempfile.TemporaryDirectory(dir=centre.directory / "work") as folder:
        data = Path(folder) / body["file"]
        data.write_bytes(centre.archive.load(body["file_no"]))
        classes = None
        if "classes" in body["archived"]:
            classes = Path(folder) / (body["file"] + ".classes.csv")
            classes.write_bytes(centre.archive.load(body["file_no"], kind="classes"))
        manifest = Manifest.model_validate_json(centre.archive.path_of(body["file_no"], "manifest").read_bytes())
        file = Prepared(body["file_no"], entry.at, manifest, name=body["file"])
        lot.files.append(file)
        lot.decode(file, data, classes)
        lot.finish()
    return lot


def judge(centre: Centre, rows: Rows, context: checks.Context) -> Rows:
    """Rows with their row-local statuses and prices; who stands among equals is decided in pass 2."""
    disabled = centre.disabled
    early = checks.climb(checks.EARLY, rows, context, disabled=disabled)
    rows = pricing.price(rows, centre.prices)
    judged = rows.with_columns(
        status_early=early,
        status_card=checks.climb(checks.BEFORE_BENEFIT, rows, context, disabled=disabled),
        status_limits=checks.climb(checks.AFTER_BENEFIT, rows, context, disabled=disabled),
    )
    return judged.without(_ROW_LOCAL)


_ROW_LOCAL = (
    "card_registered",
    "card_known",
    "unverified",
    "clear_first",
    "classes_by_sidecar",
    "unflagged_transfer",
    "priced",
)
"""Columns that only the row-local checks look at: pass 2 need not carry them."""
