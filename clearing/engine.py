"""The story of a run: receive, clear in two passes, commit, project, answer. The only place where stages meet.

Commit order (DESIGN §8): archive fsync → signed intake entry → acknowledgement; stages → segments fsync → batch entry
(the commit point) → DuckDB → result receipts and feedback. A crash anywhere leaves either nothing or something that
the next run completes (:func:`recover`).
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.delivery.errors import ManifestError
from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import load_manifest
from card_io.records import Service
from clearing import calendar, posting
from clearing.caches import Caches
from clearing.cards import CardRows
from clearing.centre import Centre
from clearing.config import load_settings
from clearing.decide import (
    COMPARED_ONLY,
    Bills,
    Contest,
    Grants,
    Placings,
    compete,
    decision_roots,
    merge_roots,
    roots_text,
    settle_bills,
    settle_statuses,
)
from clearing.durable import centre_lock
from clearing.errors import RefusedError
from clearing.intake import KnownFiles, Outcome, Prepared, due_deliveries, intake_body, prepare, prepare_again
from clearing.ledger import segments
from clearing.ledger.journal import Entry
from clearing.ledger.projection import Projection
from clearing.participant_files import Feedback, write_acknowledgement, write_feedback, write_receipt
from clearing.posting import Balances
from clearing.records import Rows, concatenate
from clearing.recover import recover
from clearing.reopen import Redecided, Reopening
from clearing.spill import Partitions, Shelf, Shelved

Progress = Callable[[str, int, int], None]
"""(stage, done, total): what a progress bar shows."""


@dataclass
class RunSummary:
    """What one run did; JSON-able."""

    received: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, str]] = field(default_factory=list)
    rows: int = 0
    results: list[list[int | None]] = field(default_factory=list)
    batch: int | None = None
    content_roots: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the wall seconds of a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@contextlib.contextmanager
def opened(
    directory: Path, passphrase: str, *, wait: float = 60.0, purpose: str, disabled: frozenset[str] = frozenset()
) -> Iterator[tuple[Centre, Projection]]:
    """A locked, recovered centre with its projection."""
    load_settings(directory)
    with centre_lock(directory, wait_seconds=wait, purpose=purpose):
        centre = Centre.open(directory, passphrase)
        centre.disabled = disabled
        projection = Projection(directory, centre.settings)
        try:
            recover(centre, projection)
            yield centre, projection
        finally:
            projection.close()


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
    centre: Centre, projection: Projection, now: int, *, progress: Progress | None = None
) -> RunSummary:
    """Receive and clear in an opened centre; one batch for all pending files."""
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
            project(centre, projection, summary)
            with summary.timed("answers"):
                batch.answer()
            saving.result()
    finally:
        batch.close()
    return summary


def _silent(stage: str, done: int, total: int) -> None:
    """No progress bar."""


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


Blocks = list[tuple[Shelved, Contest]]
"""The blocks of one received file between the passes: rows on the shelf, and what is compared of them."""


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
        entry = centre.journal.append("intake", body, at=prepared.received_at, key=centre.signing)
        known.add(body)
        _leave_inbox(delivery)
        write_acknowledgement(centre.directory / "outbox", entry)
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


SEGMENT_ROWS: Final = 1 << 17
"""Rows aimed at per segment: as many are in memory as threads run."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of a received file; ``offset`` is the position of its first row in the batch."""

    file_no: int
    offset: int
    shelved: Shelved


class Batch:
    """One batch between its two passes and its commit."""

    def __init__(self, centre: Centre, summary: RunSummary, progress: Progress | None = None) -> None:
        self.centre, self.summary, self.progress = centre, summary, progress or _silent
        self.caches = Caches.open(centre)
        self.intake: dict[int, Entry] = {}
        self.blocks: dict[Service, list[_Block]] = {}
        self.feedback: dict[int, Feedback] = {}
        self.answers: dict[int, bytes] = {}
        self.files: list[dict[str, Any]] = []
        self.unreadable: list[tuple[int, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.balances: Balances = Counter()
        self.roots: dict[int, int] = {}
        self.grants = [self.caches.grants]
        self.utility: list[Rows] = []
        self.placed_otherwise: list[tuple[int, int, int]] = []
        self.cards: list[CardRows] = []
        self.total = self.done = 0
        self._together = threading.Lock()

    def expect(self, rows: int) -> None:
        """Choose where rows wait between the passes, by the rows announced."""
        self.total = rows
        folder = self.centre.directory / "work" / "spill"
        self.partitions, self.shelf = Partitions(folder, rows), Shelf(folder, rows)

    def shelve(self, prepared: Prepared) -> Blocks:
        """Pass 1, last row-local step: part what will be compared from what will be written; from any thread."""
        blocks = []
        for number, rows in enumerate(prepared.rows):
            shelved = self.shelf.put(f"{prepared.file_no:08d}-{number:04d}", rows.without(COMPARED_ONLY))
            blocks.append((shelved, Contest.of(rows, self.partitions.order)))
        prepared.rows = []
        return blocks

    def take(self, entry: Entry, prepared: Prepared, blocks: Blocks) -> None:
        """Take a received file into the batch: scatter what will be compared into card partitions."""
        file_no = prepared.file_no
        self.intake[file_no] = entry
        self.feedback[file_no] = Feedback(file_no, entry.body["rows"])
        source_rows = np.array([row.source_row for row in prepared.unreadable], np.int64)
        self.feedback[file_no].take_unreadable(source_rows)
        self.unreadable += [(file_no, row) for row in prepared.unreadable]
        self.cards += prepared.cards
        for shelved, contest in blocks:
            self.partitions.add(contest.columns(self.summary.rows))
            self.blocks.setdefault(shelved.service, []).append(_Block(file_no, self.summary.rows, shelved))
            self.summary.rows += shelved.count
        self.progress("pass 1", self.summary.rows, self.total)

    def take_again(self, entry: Entry) -> None:
        """Take a file that an earlier command received, from the archive."""
        prepared = prepare_again(self.centre, entry)
        self.take(entry, prepared, self.shelve(prepared))

    def commit(self, now: int) -> None:
        """Pass 2 and the commit point; nothing happens when no file was received."""
        if not self.intake:
            return
        centre = self.centre
        prefix = f"{len(centre.journal.entries) + 1:08d}"
        with self.summary.timed("pass 2"), concurrent.futures.ThreadPoolExecutor(1) as beside:
            adding = beside.submit(centre.vault.add, f"{prefix}.cards", self.cards)
            self._pass_two(prefix)
            chunk = adding.result()
        self.files.sort(key=lambda file: int(file["file_no"]))
        body: dict[str, Any] = {
            "files": self.files,
            "segments": self.segments,
            "vault": [{"name": chunk[0], "sha256": chunk[1]}] if chunk else [],
            "configuration": centre.archive_configuration(),
            "tariffs": centre.prices.ids,
            "postings": [[*account, fen] for account, fen in sorted(self.balances.items())],
            "content_roots": roots_text(self.roots),
            "rows": self.summary.rows,
        }
        with self.summary.timed("commit"):
            entry = centre.journal.append("batch", body, at=now, key=centre.signing)
        self.summary.batch, self.summary.content_roots = entry.sequence, body["content_roots"]
        self.summary.results = _added_up(body["files"])

    def _pass_two(self, prefix: str) -> None:
        centre = self.centre
        self.partitions.finish()
        self.placings = Placings(self.summary.rows)
        with concurrent.futures.ThreadPoolExecutor(centre.settings.centre.threads) as pool:
            list(pool.map(self._compete, range(self.partitions.count)))
            self.caches.stage_all_states()
            self.reopening = Reopening(centre, (entry.at for entry in self.intake.values()), self.placed_otherwise)
            # Which grant a pick-up matches is known when all grants of the window are decided.
            self._settle_services(pool, prefix, [Service.BENEFIT])
            changed_keys = self._reopen_grants(prefix, self.reopening.grants())
            others: list[Service] = [service for service in Service if service is not Service.BENEFIT]
            self._settle_services(pool, prefix, others)
            for service in others:
                if service is not Service.UTILITY:
                    self._write_events(
                        prefix, self.reopening.others(service, Grants.joined(self.grants), changed_keys)
                    )
            self._finish_utility(pool, prefix, self.reopening.payments(self.utility))
        if self.unreadable:
            path = centre.directory / "segments" / "unreadable" / f"{prefix}-0000.parquet"
            self.segments.append(segments.write_unreadable(path, self.unreadable))
        for file_no in sorted(self.feedback):
            # Of files without a readable row.
            self._answer_ready(file_no)
        self.segments.sort(key=lambda segment: str(segment["name"]))

    def _compete(self, number: int) -> None:
        """Decide who stands in one partition; several run side by side and meet only at :attr:`_together`."""
        states = self.caches.history.states.between(*self.partitions.cards(number))
        columns = self.partitions.read(number)
        if columns is None:
            self.caches.stage_states(number, states)
            return
        contest = Contest.of_columns(columns)
        competed = compete(contest, states, self.caches.history.standing, disabled=self.centre.disabled)
        self.caches.stage(number, states, competed)
        with self._together:
            self.placings.note(contest, competed)
            self.placed_otherwise += competed.placings

    def _settle(self, prefix: str, number: int, blocks: list[_Block]) -> None:
        """Settle, post, hash and write blocks of one service as one segment; several run side by side."""
        centre, service, settled = self.centre, blocks[0].shelved.service, []
        grants = Grants.joined(self.grants)
        for block in blocks:
            rows = self.placings.placed(block.shelved.take(), block.offset)
            rows = settle_statuses(rows, grants, centre.settings, disabled=centre.disabled)
            self._feed_back(block.file_no, rows)
            settled.append(rows)
        if service is Service.UTILITY:
            # Whose payment pays a bill is known when all payments of the batch are.
            with self._together:
                self.utility += settled
            return
        if service is Service.BENEFIT:
            with self._together:
                self.grants += [Grants.of(rows) for rows in settled]
        self._book(settled)
        self._seal(service.name.lower(), f"{prefix}-{number:04d}", settled)

    def _seal(self, folder: str, name: str, parts: list[Rows]) -> None:
        """Write one segment and note what the batch entry says of it."""
        path = self.centre.directory / "segments" / folder / f"{name}.parquet"
        segment = (segments.write_bills if folder == "bill" else segments.write_segment)(path, parts)
        with self._together:
            self.segments.append(segment)

    def _settle_services(self, pool: concurrent.futures.Executor, prefix: str, services: list[Service]) -> None:
        groups = [group for service in services for group in _groups(self.blocks.get(service, []))]
        list(pool.map(lambda group: self._settle(prefix, *group), groups))

    def _finish_utility(self, pool: concurrent.futures.Executor, prefix: str, earlier: Redecided | None) -> None:
        """Pay bills over the batch and the earlier payments of its windows that it touches; write both."""
        if earlier is None and not self.utility:
            return
        paid = self.caches.bills
        rows = list(self.utility)
        if earlier is not None:
            own = Bills.listed(earlier.before).take(earlier.before.bills["bill_paid"] == 1)
            paid = paid.take(~paid.among(own))
            rows.insert(0, earlier.after.without(COMPARED_ONLY))
        settled = settle_bills(concatenate(rows), paid)
        split = len(earlier.before) if earlier is not None else 0
        if earlier is not None:
            again = settled.take(np.arange(split)).with_columns(
                **{name: earlier.after[name] for name in COMPARED_ONLY}
            )
            self._write_events(prefix, Redecided(earlier.before, again))
        if len(settled) > split:
            fresh = settled.take(np.arange(split, len(settled)))
            self._book([fresh])
            list(pool.map(lambda folder: self._seal(folder, f"{prefix}-0000", [fresh]), ("utility", "bill")))

    def _reopen_grants(self, prefix: str, earlier: Redecided | None) -> npt.NDArray[np.uint64]:
        """Put benefits decided otherwise in place of what was known; returns the keys of all grants that changed."""
        fresh, self.grants = self.grants[1:], self.grants[:1]
        if earlier is not None:
            before, after = Grants.of(earlier.before), Grants.of(earlier.after)
            fresh = [*fresh, after]
            self.grants = [self.grants[0].without(before.key)]
            self._write_events(prefix, earlier)
        changed = [grants.key for grants in fresh]
        changed += [before.key] if earlier is not None else []
        self.grants += fresh
        return np.concatenate([np.empty(0, np.uint64), *changed])

    def _write_events(self, prefix: str, earlier: Redecided | None) -> None:
        """Earlier decisions that this batch changes: linked reversals and new decisions."""
        events = earlier.events() if earlier is not None else None
        if events is None:
            return
        folder = events[0].service.name.lower()
        self._seal(folder, f"{prefix}-events", list(events))
        if events[0].service is Service.UTILITY:
            self._seal("bill", f"{prefix}-events", list(events))
        for rows in events:
            self._book([rows])
        self.caches.stage_reopened(events[1].service, self.reopening.competitors(events[1]))

    def _book(self, parts: list[Rows]) -> None:
        posted = posting.post(parts, self.centre.chart, disabled=self.centre.disabled)
        roots = [decision_roots(rows) for rows in parts]
        with self._together:
            self.balances.update(posted)
            self.balances = Counter({account: fen for account, fen in self.balances.items() if fen})
            self.roots = merge_roots(self.roots, *roots)

    def _feed_back(self, file_no: int, rows: Rows) -> None:
        feedback = self.feedback[file_no]
        with self._together:
            feedback.take(rows)
            self.done += len(rows)
            self.progress("pass 2", self.done, self.summary.rows)
        if feedback.complete:
            self._answer_ready(file_no)

    def _answer_ready(self, file_no: int) -> None:
        """Sum up a file of which every row is decided and make its feedback; it is sent after the commit."""
        feedback = self.feedback.pop(file_no)
        file = {"file_no": file_no, "results": feedback.results(self.intake[file_no].body["amount_fen"])}
        content = feedback.content()
        with self._together:
            self.files.append(file)
            self.answers[file_no] = content

    def remember(self) -> None:
        """Save the caches of a committed batch; losing them costs a rebuild, never a decision."""
        if self.summary.batch is not None:
            self.caches.save(self.summary.batch)

    def answer(self) -> None:
        """Result receipts and feedback of a committed batch; the receipt is written last."""
        outbox = self.centre.directory / "outbox"

        def one(file: dict[str, Any]) -> None:
            entry = self.intake[file["file_no"]]
            write_feedback(outbox, entry, self.answers[file["file_no"]])
            write_receipt(outbox, entry, file["results"])

        with concurrent.futures.ThreadPoolExecutor(self.centre.settings.centre.threads) as pool:
            list(pool.map(one, self.files))

    def close(self) -> None:
        """Drop what was spilled."""
        self.partitions.close()


def _groups(blocks: list[_Block]) -> Iterator[tuple[int, list[_Block]]]:
    """Numbered runs of one service's blocks in the order of arrival, each for one segment."""
    group: list[_Block] = []
    number = rows = 0
    for block in blocks:
        if group and rows + block.shelved.count > SEGMENT_ROWS:
            yield number, group
            group, number, rows = [], number + 1, 0
        group.append(block)
        rows += block.shelved.count
    if group:
        yield number, group


def project(centre: Centre, projection: Projection, summary: RunSummary) -> None:
    """Bring the projection up to the journal and publish it."""
    with summary.timed("projection"):
        projection.catch_up(centre.journal)
        projection.publish(centre.journal)


def _added_up(files: list[dict[str, Any]]) -> list[list[int | None]]:
    """[status, disposition, rows, fen] over all files."""
    rows: Counter[tuple[int, int]] = Counter()
    fen: Counter[tuple[int, int]] = Counter()
    for file in files:
        for status, disposition, count, amount in file["results"]:
            rows[status, disposition] += count
            fen[status, disposition] += amount or 0
    return [
        [status, disposition, rows[status, disposition], fen[status, disposition]]
        for status, disposition in sorted(rows)
    ]
