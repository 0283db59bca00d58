"""What a run does before it starts: complete what a crash left behind (DESIGN §8, commit order)."""

from __future__ import annotations

import numpy as np

from card_io.delivery.manifest import CLASSES_SUFFIX, manifest_name
from clearing.centre import Centre
from clearing.interchange import write_after_run, write_at_close
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection
from clearing.ledger.segments import read_segment, unreadable_rows
from clearing.participant_files import (
    Feedback,
    acknowledgement_exists,
    receipt_path,
    write_acknowledgement,
    write_feedback,
    write_receipt,
)
from clearing.payments.files import write_order_files
from clearing.payments.orders import complete_orders
from clearing.proposal import proposal_path, write_proposal


def recover(centre: Centre, projection: Projection) -> None:
    """Delete segments no entry names, project missing entries, write missing answers; idempotent."""
    _delete_unreferenced(centre)
    complete_orders(centre)
    fresh = projection.catch_up(centre.journal)
    if fresh:
        projection.publish(centre.journal)
    outbox = centre.directory / "outbox"
    intake = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
    for entry in intake.values():
        if not acknowledgement_exists(outbox, entry):
            _clear_inbox(centre, entry)
            write_acknowledgement(outbox, entry, centre.disk)
    for batch in centre.journal.of_kind("batch"):
        _answer_again(centre, batch, intake)
        write_after_run(centre, batch, intake)
    centre.disk.settle()
    for entry in centre.journal.of_kind("close"):
        if not proposal_path(centre.directory, entry).exists():
            write_proposal(centre.directory, entry, centre.settings)
        write_at_close(centre, projection.store, entry)
    for entry in centre.journal.of_kind("order"):
        write_order_files(centre.directory, entry, centre.settings)


def _clear_inbox(centre: Centre, entry: Entry) -> None:
    """A delivery without acknowledgement died between its entry and leaving the inbox: take its files away.

    Only bytes that the entry sealed are deleted; anything else under the same name is another delivery.
    """
    data = centre.directory / "inbox" / entry.body["file"]
    manifest = data.with_name(manifest_name(data.name))
    archived = centre.archive.path_of(entry.body["file_no"], "manifest")
    if manifest.exists() and manifest.read_bytes() == archived.read_bytes():
        manifest.unlink()
    if manifest.exists():
        return
    for path, kind in ((data, "data"), (data.with_name(data.name + CLASSES_SUFFIX), "classes")):
        sealed = kind in entry.body["archived"] and path.exists()
        if sealed and path.read_bytes() == centre.archive.load(entry.body["file_no"], kind=kind):
            path.unlink()


def _delete_unreferenced(centre: Centre) -> None:
    """A segment or vault chunk becomes truth only when a batch entry names it."""
    named = {s["name"] for entry in centre.journal.of_kind("batch") for s in entry.body["segments"]}
    folder = centre.directory / "segments"
    for path in folder.glob("*/*.parquet*"):
        if str(path.relative_to(folder)) not in named:
            path.unlink()
    chunks = set(centre.vault.chunks)
    for path in centre.vault.folder.glob("*.cards*"):
        if path.name not in chunks:
            path.unlink()


def _answer_again(centre: Centre, batch: Entry, intake: dict[int, Entry]) -> None:
    """Receipts and feedback of a batch that a crash kept from being written; the receipt is written last."""
    outbox = centre.directory / "outbox"
    missing = {
        file["file_no"]: file["results"]
        for file in batch.body["files"]
        if not receipt_path(outbox, intake[file["file_no"]].body["sender"], file["file_no"]).exists()
    }
    if not missing:
        return
    for file_no, feedback in feedback_from_segments(centre, batch, {n: intake[n] for n in missing}).items():
        write_feedback(outbox, intake[file_no], feedback.content(), centre.disk)
    centre.disk.settle()
    for file_no, results in missing.items():
        write_receipt(outbox, intake[file_no], results, centre.disk)


def feedback_from_segments(centre: Centre, batch: Entry, files: dict[int, Entry]) -> dict[int, Feedback]:
    """Record-level results of some files of a batch, as first decided, read back from its segments."""
    feedback = {file_no: Feedback(entry.body["rows"]) for file_no, entry in files.items()}
    for segment in batch.body["segments"]:
        kind = segment["name"].split("/")[0]
        if kind == "unreadable":
            _take_unreadable(centre, segment["name"], feedback)
        elif kind != "bill" and "events" not in segment["name"]:
            rows = read_segment(centre.directory / "segments", segment["name"])
            for file_no, each in feedback.items():
                each.take(rows, np.flatnonzero(rows["txn_id"] >> 32 == file_no))
    return feedback


def _take_unreadable(centre: Centre, name: str, feedback: dict[int, Feedback]) -> None:
    txn_id = unreadable_rows(centre.directory / "segments", name)
    for file_no, each in feedback.items():
        each.take_unreadable(txn_id[txn_id >> 32 == file_no] & 0xFFFFFFFF)
