"""The story of a run: receive, clear in two passes, commit, project, answer.

Commit order (DESIGN §8): archive fsync → signed intake entry → acknowledgement; stages → segments fsync → batch entry
(the commit point) → DuckDB → result receipts and feedback. A crash anywhere leaves either nothing or something that
the next run completes (:func:`recover`).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from card_io.delivery.inbox import Delivery
from clearing import calendar
from clearing.arrivals import Arrival, due_arrivals, lots_of
from clearing.batch import Batch, ShelvedBlock
from clearing.centre import Centre
from clearing.completed import mark_completed, nothing_moved
from clearing.config import require_centre
from clearing.durable import centre_lock
from clearing.errors import RefusedError
from clearing.intake import KnownFiles, Outcome, intake_body
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection
from clearing.participant_files import write_acknowledgement
from clearing.prepare import Lot, prepare, settle_archived
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
        arrivals, summary.waiting = due_arrivals(centre, declared_now(centre, now))
        for _ in _receive(centre, arrivals, summary, _drop):
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
    arrivals, summary.waiting = due_arrivals(centre, now)
    # What manifests announce decides the number of partitions, nothing else.
    batch.expect(sum(entry.body["rows"] for entry in pending) + sum(arrival.rows for arrival in arrivals))
    try:
        with summary.timed("pass 1"):
            again = _side_by_side(centre, [functools.partial(batch.shelve_again, entry) for entry in pending])
            for entry, (lot, blocks) in zip(pending, again, strict=True):
                batch.take(lot, [entry], blocks)
            for lot, received, blocks in _receive(centre, arrivals, summary, batch.shelve):
                batch.take(lot, received, blocks)
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


_AHEAD: Final = 4
"""Lots prepared ahead per thread: while the journal waits for the disk, the threads do not wait for the journal."""

Ready = tuple[Lot, list[ShelvedBlock]]
"""A lot whose row-local half is done, and where its rows wait."""


def _drop(lot: Lot) -> list[ShelvedBlock]:
    """A command that only receives keeps no rows: they are read again from the archive when they are cleared."""
    lot.judged = []
    return []


def _receive(
    centre: Centre, arrivals: list[Arrival], summary: RunSummary, shelve: Callable[[Lot], list[ShelvedBlock]]
) -> Iterator[tuple[Lot, list[Entry], list[ShelvedBlock]]]:
    """Take every delivery: row-local work side by side, journal and answers in order.

    Yields each lot, the entries of those of its files that were received, and where its rows wait.
    """
    first = 1 + sum(1 for _ in centre.journal.of_kind("intake"))
    known = KnownFiles.of(centre.journal.of_kind("intake"))

    def prepared(together: list[Arrival], file_no: int) -> Ready:
        lot = prepare(centre, together, file_no)
        return lot, shelve(lot)

    jobs, file_no = [], first
    for together in lots_of(arrivals, known.by_identity):
        jobs.append(functools.partial(prepared, together, file_no))
        file_no += len(together)
    for lot, blocks in _side_by_side(centre, jobs):
        received = []
        for file in lot.files:
            known.judge(file)
            body = intake_body(file)
            settle_archived(centre, file)
            entry = centre.journal.append("intake", body, at=file.received_at, key=centre.signing)
            known.add(body)
            _leave_inbox(arrivals[file.file_no - first].delivery)
            write_acknowledgement(centre.directory / "outbox", entry, centre.disk)
            summary.received.append({"file": file.name, "file_no": file.file_no, "outcome": body["outcome"]})
            if file.outcome is Outcome.RECEIVED:
                received.append(entry)
        yield lot, received, blocks


def _side_by_side(centre: Centre, jobs: Sequence[Callable[[], Ready]]) -> Iterator[Ready]:
    """Row-local work on the centre's threads, results in order, few in memory at a time."""
    threads = centre.settings.centre.threads
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        ahead: list[concurrent.futures.Future[Ready]] = []
        for job in jobs:
            ahead.append(pool.submit(job))
            if len(ahead) > _AHEAD * threads:
                yield ahead.pop(0).result()
        for future in ahead:
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
