"""What a run does before it starts: complete what a crash left behind (DESIGN §8, commit order)."""

from __future__ import annotations

from clearing.centre import Centre
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection
from clearing.ledger.segments import read_segment, unreadable_rows
from clearing.participant_files import Feedback, receipt_path, write_acknowledgement, write_feedback, write_receipt
from clearing.proposal import proposal_path, write_proposal


def recover(centre: Centre, projection: Projection) -> None:
    """Delete segments no entry names, project missing entries, write missing answers; idempotent."""
    _delete_unreferenced(centre)
    fresh = projection.catch_up(centre.journal)
    if fresh:
        projection.publish(centre.journal)
    outbox = centre.directory / "outbox"
    intake = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
    for entry in intake.values():
        write_acknowledgement(outbox, entry)
    for batch in centre.journal.of_kind("batch"):
        _answer_again(centre, batch, intake)
    for entry in centre.journal.of_kind("close"):
        if not proposal_path(centre.directory, entry).exists():
            write_proposal(centre.directory, entry, centre.settings)


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
    missing = [
        file
        for file in batch.body["files"]
        if not receipt_path(outbox, intake[file["file_no"]].body["sender"], file["file_no"]).exists()
    ]
    if not missing:
        return
    feedback = {f["file_no"]: Feedback(f["file_no"], intake[f["file_no"]].body["rows"]) for f in missing}
    for segment in batch.body["segments"]:
        kind = segment["name"].split("/")[0]
        if kind == "unreadable":
            _take_unreadable(centre, segment["name"], feedback)
        elif kind != "bill" and "events" not in segment["name"]:
            rows = read_segment(centre.directory / "segments", segment["name"])
            for file_no, each in feedback.items():
                each.take(rows, (rows["txn_id"] >> 32 == file_no).nonzero()[0])
    for file in missing:
        entry = intake[file["file_no"]]
        write_feedback(outbox, entry.body["sender"], feedback[file["file_no"]])
        write_receipt(outbox, entry, file["results"])


def _take_unreadable(centre: Centre, name: str, feedback: dict[int, Feedback]) -> None:
    txn_id = unreadable_rows(centre.directory / "segments", name)
    for file_no, each in feedback.items():
        each.take_unreadable(txn_id[txn_id >> 32 == file_no] & 0xFFFFFFFF)
