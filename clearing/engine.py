"""The story of a run: receive, clear in two passes, commit, project, answer.

Commit order (DESIGN §8): archive fsync → signed intake entry → acknowledgement; stages → segments fsync → batch entry
(the commit point) → DuckDB → result receipts and feedback. A crash anywhere leaves either nothing or something that
the next run completes (:func:`recover`).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from card_io.delivery.errors import ManifestError
from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import load_manifest
from clearing import calendar
from clearing.batch import Batch, Blocks
from clearing.centre import Centre
from clearing.completed import mark_completed, nothing_moved
from clearing.config import require_centre
from clearing.durable import centre_lock
from clearing.errors import RefusedError
from clearing.intake import KnownFiles, Outcome, Prepared, due_deliveries, intake_body, prepare, settle_archived
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection
from clearing.participant_files import write_acknowledgement
from clearing.recover import recover
from clearing.run_summary import Progress, RunSummary


@contextlib.contextmanager
def opened(
    directory: Path, passphrase: str, *, wait: float = 60.0, purpose: str, disabled: frozenset[str] = frozenset()
) -> Iterator[tuple[Centre, Projection]]:
    """A locked, recovered centre with its projection."""
    require_centre(directory)
    with centre_lock(directory, wait_seconds=wait, purpose=purpose):
        centre = Centre.open(directory, passphrase)
        centre.disabled = disabled
        projection = Projection(directory, centre.settings)
        try:
            if nothing_moved(centre):
                projection.trust(centre.journal)
            else:
                recover(centre, projection)
            yield centre, projection
        finally:
            centre.disk.close()
            projection.close()
        if projection.complete(centre.journal):
            mark_completed(centre)


def declared_now(centre: Centre, now: int | None) -> int:
    """The clock of a run: the declared one of a simulated centre, the wall clock of a real one.

    Raises:
        RefusedError: a declared clock in a real centre, or none in a simulated one.
    """
    simulated = centre.settings.centre.simulated
    if now is not None and not simulated:
        raise RefusedError("--now is for simulated centres only", remedy="leave it out")
    if now is None and simulated:
        raise RefusedError("a simulated centre runs on a declared clock", remedy="give --now YYYY-MM-DDTHH:MM:SS")
    if now is not None:
        return now
    # A clock set back must not put receipts into a window that is closed.
    return max([calendar.wall_clock(), *(entry.at for entry in centre.journal.entries[-1:])])


def receive_centre(directory: Path, *, passphrase: str, now: int | None = None, wait: float = 60.0) -> RunSummary:
    """Intake only: archive, entry and acknowledgement of every due delivery."""
    summary = RunSummary()
    with opened(directory, passphrase, wait=wait, purpose="clearing receive") as (centre, projection):
        for _ in _receive(centre, declared_now(centre, now), summary, _drop):
            pass
        centre.disk.settle()
        project(centre, projection, summary)
    return summary


def run_centre(
    directory: Path,
    *,
    passphrase: str,
    now: int | None = None,
    wait: float = 60.0,
    progress: Progress | None = None,
    disabled: frozenset[str] = frozenset(),
) -> RunSummary:
    """Receive what is due and clear everything pending.

    Args:
        directory: the centre.
        passphrase: of the key store.
        now: declared clock of a simulated centre, wall seconds.
        wait: seconds to wait for the centre's lock.
        progress: called as rows go by.
        disabled: names of checks and templates left out; only tests set it.

    Raises:
        ClearingError and the errors of the packages below it: what, where, what next. Nothing half-done remains.
    """
    with opened(directory, passphrase, wait=wait, purpose="clearing run", disabled=disabled) as (centre, projection):
        return clear_pending(centre, projection, declared_now(centre, now), progress=progress)


def clear_pending(
    centre: Centre, projection: Projection, now: int, *, progress: Progress | None = None, publish: bool = True
) -> RunSummary:
    """Receive and clear in an opened centre; one batch for all pending files. Who goes on publishes later."""
    summary = RunSummary()
    batch = Batch(centre, summary, progress)
    pending = _pending_entries(centre)
    batch.expect(sum(entry.body["rows"] for entry in pending) + _announced(centre, now))
    try:
        with summary.timed("pass 1"):
            for entry in pending:
                batch.take_again(entry)
            for entry, prepared, blocks in _receive(centre, now, summary, batch.shelve):
                batch.take(entry, prepared, blocks)
        batch.commit(now)
        with concurrent.futures.ThreadPoolExecutor(1) as behind:
            saving = behind.submit(batch.remember)
            dropping = behind.submit(batch.close)
            batch.feed_back()
            project(centre, projection, summary, publish=publish)
            with summary.timed("answers"):
                batch.answer()
            saving.result()
            dropping.result()
    finally:
        batch.close()
    return summary


def _pending_entries(centre: Centre) -> list[Entry]:
    """Received files that no batch holds yet, in order."""
    cleared = {f["file_no"] for entry in centre.journal.of_kind("batch") for f in entry.body["files"]}
    return [
        entry
        for entry in centre.journal.of_kind("intake")
        if entry.body["outcome"] == Outcome.RECEIVED and entry.body["file_no"] not in cleared
    ]


def _announced(centre: Centre, now: int) -> int:
    """Rows the waiting manifests announce: decides the number of partitions, nothing else."""
    total = 0
    for delivery, _ in due_deliveries(centre, now)[0]:
        with contextlib.suppress(ManifestError):
            total += load_manifest(delivery.manifest).rows
    return total


_AHEAD: Final = 4
"""Files prepared ahead per thread: while the journal waits for the disk, the threads do not wait for the journal."""


def _drop(prepared: Prepared) -> Blocks:
    """A command that only receives keeps no rows: they are read again from the archive when they are cleared."""
    return []


def _receive(
    centre: Centre, now: int, summary: RunSummary, shelve: Callable[[Prepared], Blocks]
) -> Iterator[tuple[Entry, Prepared, Blocks]]:
    """Take every due delivery: row-local work side by side, journal and answers in order. Yields the received."""
    due, summary.waiting = due_deliveries(centre, now)
    first = 1 + sum(1 for _ in centre.journal.of_kind("intake"))
    known = KnownFiles.of(centre.journal.of_kind("intake"))
    jobs = [(delivery, first + number, received_at) for number, (delivery, received_at) in enumerate(due)]
    for (prepared, blocks), (delivery, _, _) in zip(_prepared(centre, jobs, shelve), jobs, strict=True):
        known.judge(prepared)
        body = intake_body(prepared)
        settle_archived(centre, prepared)
        entry = centre.journal.append("intake", body, at=prepared.received_at, key=centre.signing)
        known.add(body)
        _leave_inbox(delivery)
        write_acknowledgement(centre.directory / "outbox", entry, centre.disk)
        summary.received.append({"file": prepared.name, "file_no": prepared.file_no, "outcome": body["outcome"]})
        if prepared.outcome is Outcome.RECEIVED:
            yield entry, prepared, blocks


def _prepared(
    centre: Centre, jobs: list[tuple[Delivery, int, int]], shelve: Callable[[Prepared], Blocks]
) -> Iterator[tuple[Prepared, Blocks]]:
    """Row-local work of many files on the centre's threads, results in order, few in memory at a time."""

    def one(delivery: Delivery, file_no: int, received_at: int) -> tuple[Prepared, Blocks]:
        prepared = prepare(centre, delivery, file_no, received_at)
        return prepared, shelve(prepared)

    threads = centre.settings.centre.threads
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        waiting: list[concurrent.futures.Future[tuple[Prepared, Blocks]]] = []
        for job in jobs:
            waiting.append(pool.submit(one, *job))
            if len(waiting) > _AHEAD * threads:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _leave_inbox(delivery: Delivery) -> None:
    """The archive holds the bytes and the journal says so; the inbox copy may go."""
    for path in (delivery.manifest, delivery.data, delivery.classes):
        if path is not None:
            path.unlink(missing_ok=True)


def project(centre: Centre, projection: Projection, summary: RunSummary, *, publish: bool = True) -> None:
    """Bring the projection up to the journal and publish it; who goes on in the same command publishes at its end."""
    with summary.timed("projection"):
        projection.catch_up(centre.journal)
        if publish:
            projection.publish(centre.journal)
        else:
            projection.refresh(centre.journal)
