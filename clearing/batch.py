"""One batch: rows wait between two passes, compete, are settled, posted, written and sealed (docs/ARCHITECTURE.md).

The stages are pure; here they meet. The batch entry is the commit point: before it, nothing of the batch is true.
"""

from __future__ import annotations

import concurrent.futures
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import Service, UnreadableRow
from clearing import posting
from clearing.caches import Caches
from clearing.cards import CardRows, Newcomers
from clearing.centre import Centre
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
from clearing.grey import SEGMENT as GREY_SEGMENT
from clearing.grey import grey_events
from clearing.interchange import write_after_run
from clearing.ledger import segments
from clearing.ledger.journal import Entry
from clearing.participant_files import Feedback, write_feedback, write_receipt
from clearing.posting import Balances
from clearing.prepare import Lot, Sections, prepare_again
from clearing.records import Rows, concatenate
from clearing.remembering import Remembering
from clearing.reopen import Redecided, Reopening
from clearing.repricing import Corrections
from clearing.run_summary import Progress, RunSummary
from clearing.spill import Parted, Partitions, Shelf, Shelved, rooms_for


@dataclass(frozen=True, slots=True)
class ShelvedBlock:
    """A judged block between the passes: rows on the shelf, what is compared of them, journeys, cards, whose rows."""

    shelved: Shelved
    compared: Parted
    journeys: Parted | None
    cards: CardRows
    sections: Sections


def _silent(stage: str, done: int, total: int) -> None:
    """No progress bar."""


SEGMENT_ROWS: Final = 1 << 17
"""Rows aimed at per segment: as many are in memory as threads run."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of received files; ``offset`` is the position of its first row in the batch."""

    offset: int
    shelved: Shelved
    sections: Sections


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
        self.unreadable: dict[int, list[UnreadableRow]] = {}
        self.segments: list[dict[str, Any]] = []
        self.balances: Balances = Counter()
        self.roots: dict[int, int] = {}
        self.grants = [self.caches.grants]
        self.utility: list[Rows] = []
        self.placed_otherwise: list[tuple[int, int, int]] = []
        self.total = self.done = 0
        self._together = threading.Lock()

    def expect(self, rows: int) -> None:
        """Choose where rows wait between the passes, by the rows announced."""
        self.total = rows
        folder = self.centre.directory / "work" / "spill"
        self.newcomers = Newcomers(self.centre.vault.folder, rows)
        rooms = rooms_for(rows)
        self.partitions = Partitions(folder / "cards", rows, room=rooms.compared)
        self.shelf = Shelf(folder / "shelf", rows, rooms.shelf)
        self.remembering = Remembering(self.centre, folder / "journeys", rows, rooms.journeys)

    def shelve(self, lot: Lot) -> list[ShelvedBlock]:
        """Pass 1, last row-local step: part what will be compared from what will be written; from any thread."""
        shelved = []
        for block in lot.judged:
            contest = Contest.of(block.rows, self.partitions.order)
            compared = self.partitions.parted(contest.columns())
            rows = self.shelf.put(block.rows.without(COMPARED_ONLY))
            journeys = self.remembering.parted(block.rows)
            shelved.append(ShelvedBlock(rows, compared, journeys, block.cards, block.sections))
        lot.judged = []
        return shelved

    def take(self, lot: Lot, received: list[Entry], blocks: list[ShelvedBlock]) -> None:
        """Take the received files of a lot into the batch: scatter what will be compared into card partitions."""
        file_nos = {entry.body["file_no"] for entry in received}
        if any(file_no not in file_nos for block in blocks for file_no, _ in block.sections):
            # Rows of a file that was refused lie among the others': these are read again, each alone.
            for entry in received:
                self.take_again(entry)
            return
        self.intake |= {entry.body["file_no"]: entry for entry in received}
        self.unreadable |= {file.file_no: file.unreadable for file in lot.files if file.file_no in file_nos}
        for block in blocks:
            self.newcomers.add(block.cards)
            self.partitions.add(block.compared.after(self.summary.rows))
            self.remembering.add(block.journeys, self.summary.rows)
            placed = _Block(self.summary.rows, block.shelved, block.sections)
            self.blocks.setdefault(block.shelved.service, []).append(placed)
            self.summary.rows += block.shelved.count
        self.progress("pass 1", self.summary.rows, self.total)

    def shelve_again(self, entry: Entry) -> tuple[Lot, list[ShelvedBlock]]:
        """A file that was received before, from the archive, as far as :meth:`take`; from any thread."""
        lot = prepare_again(self.centre, entry)
        return lot, self.shelve(lot)

    def take_again(self, entry: Entry) -> None:
        """Take a file that was received before."""
        lot, blocks = self.shelve_again(entry)
        self.take(lot, [entry], blocks)

    def commit(self, now: int) -> None:
        """Pass 2 and the commit point; nothing happens when no file was received."""
        if not self.intake:
            return
        centre = self.centre
        prefix = f"{len(centre.journal.entries) + 1:08d}"
        with self.summary.timed("pass 2"), concurrent.futures.ThreadPoolExecutor(1) as beside:
            adding = beside.submit(centre.vault.add, f"{prefix}.cards", self.newcomers)
            archiving = beside.submit(centre.archive_configuration)
            self._pass_two(prefix)
            chunk, configuration = adding.result(), archiving.result()
        self.files.sort(key=lambda file: int(file["file_no"]))
        vault = [{"name": chunk[0], "sha256": chunk[1]}] if chunk else []
        self._append(now, vault, configuration)

    def decide_grey(self, window: int, now: int) -> None:
        """Decide grey rows at the close of a window: a batch of events alone; none when nothing is decided."""
        self.expect(0)
        prefix = f"{len(self.centre.journal.entries) + 1:08d}"
        for events in grey_events(self.centre, self.caches.history, window):
            folder = events[0].service.name.lower()
            self._seal(folder, f"{prefix}-{GREY_SEGMENT}", events)
            if events[0].service is Service.UTILITY:
                self._seal("bill", f"{prefix}-{GREY_SEGMENT}", events)
            for rows in events:
                self._book([rows])
        if self.segments:
            self.segments.sort(key=lambda segment: str(segment["name"]))
            self._append(now, [], self.centre.archive_configuration(), {"grey_window": window})
            self.remember()
        self.close()

    def _append(
        self,
        now: int,
        vault: list[dict[str, str]],
        configuration: dict[str, str],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """The commit point, once everything it names is on disk."""
        centre = self.centre
        centre.disk.settle()
        body: dict[str, Any] = {
            **more,
            "files": self.files,
            "segments": self.segments,
            "vault": vault,
            "configuration": configuration,
            "tariffs": centre.prices.ids,
            "remembering": self.remembering.used,
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
            self.partitions.close()
            self.reopening = Reopening(centre, (entry.at for entry in self.intake.values()), self.placed_otherwise)
            moved = self.reopening.moved_journeys()
            self.fares = self.remembering.price(pool, self.placings, moved, self.reopening.windows)
            self.corrections = Corrections(centre, self.fares.steps)
            # Which grant a pick-up matches is known when all grants of the window are decided.
            self._settle_services(pool, prefix, [Service.BENEFIT])
            changed_keys = self._reopen_grants(prefix, self.reopening.grants())
            others: list[Service] = [service for service in Service if service is not Service.BENEFIT]
            self._settle_services(pool, prefix, others)
            for service in others:
                if service is not Service.UTILITY:
                    grants = Grants.joined(self.grants)
                    self._write_events(prefix, self.reopening.others(service, grants, changed_keys, self.fares))
            self._write_corrections(prefix)
            self._finish_utility(pool, prefix, self.reopening.payments(self.utility))
        unreadable = [(file_no, row) for file_no, rows in self.unreadable.items() for row in rows]
        if unreadable:
            path = centre.directory / "segments" / "unreadable" / f"{prefix}-0000.parquet"
            self.segments.append(segments.write_unreadable(path, unreadable, centre.disk))
        for file_no in sorted(self.intake.keys() - self.answers.keys()):
            # Of files without a readable row.
            self._answer_ready(file_no, self._opened_feedback(file_no))
        self.segments.sort(key=lambda segment: str(segment["name"]))

    def _compete(self, number: int) -> None:
        """Decide who stands in one partition; several run side by side and meet only at :attr:`_together`."""
        key_range = self.partitions.key_range(number)
        states = self.caches.history.states(key_range)
        columns = self.partitions.read(number)
        if columns is None:
            self.caches.history.stage_states(key_range, states)
            return
        contest = Contest.of_columns(columns)
        competed = compete(contest, states, self.caches.history.standing, disabled=self.centre.disabled)
        self.caches.stage(key_range, states, competed)
        with self._together:
            self.placings.note(contest, competed)
            self.placed_otherwise += competed.placings

    def _settle(self, prefix: str, number: int, blocks: list[_Block]) -> None:
        """Settle, post, hash and write blocks of one service as one segment; several run side by side."""
        centre, service, settled = self.centre, blocks[0].shelved.service, []
        grants = Grants.joined(self.grants)
        for block in blocks:
            rows = self.placings.placed(block.shelved.take(), block.offset)
            if service is Service.TRANSIT:
                rows = self.fares.priced(rows)
            rows = settle_statuses(rows, grants, centre.settings, disabled=centre.disabled)
            self.corrections.keep(rows)
            self._feed_back(block.sections, rows)
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
        write = segments.write_bills if folder == "bill" else segments.write_segment
        segment = write(path, parts, self.centre.disk)
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
        self.corrections.keep(earlier.decided() if earlier is not None else None)
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

    def _write_corrections(self, prefix: str) -> None:
        """Decisions whose price later receipts change: linked reversals and new decisions."""
        events = self.corrections.events()
        if events:
            self._seal("transit", f"{prefix}-price-events", events)
            self._book(events)

    def _book(self, parts: list[Rows]) -> None:
        posted = posting.post(parts, self.centre.chart, disabled=self.centre.disabled)
        roots = [decision_roots(rows) for rows in parts]
        with self._together:
            self.balances.update(posted)
            self.balances = Counter({account: fen for account, fen in self.balances.items() if fen})
            self.roots = merge_roots(self.roots, *roots)

    def _feed_back(self, sections: Sections, rows: Rows) -> None:
        start, complete = 0, {}
        with self._together:
            for file_no, count in sections:
                if file_no not in self.feedback:
                    self.feedback[file_no] = self._opened_feedback(file_no)
                feedback = self.feedback[file_no]
                feedback.take(rows, slice(start, start + count))
                start += count
                # Of all threads one finds a file complete: the one that takes its last rows.
                if feedback.complete:
                    complete[file_no] = self.feedback.pop(file_no)
            self.done += len(rows)
            self.progress("pass 2", self.done, self.summary.rows)
        for file_no, feedback in complete.items():
            self._answer_ready(file_no, feedback)

    def _opened_feedback(self, file_no: int) -> Feedback:
        """The feedback of a file before its first row is decided."""
        feedback = Feedback(self.intake[file_no].body["rows"])
        feedback.take_unreadable(np.array([row.source_row for row in self.unreadable[file_no]], np.int64))
        return feedback

    def _answer_ready(self, file_no: int, feedback: Feedback) -> None:
        """Sum up a file of which every row is decided and make its feedback; it is sent after the commit."""
        file = {"file_no": file_no, "results": feedback.results(self.intake[file_no].body["amount_fen"])}
        content = feedback.content()
        with self._together:
            self.files.append(file)
            self.answers[file_no] = content

    def remember(self) -> None:
        """Save the caches of a committed batch; losing them costs a rebuild, never a decision."""
        if self.summary.batch is not None:
            self.caches.save(self.summary.batch)
            self.remembering.remember(self.summary.batch)

    def feed_back(self) -> None:
        """Begin to write the record-level feedback of a committed batch."""
        centre = self.centre
        for file_no, content in self.answers.items():
            write_feedback(centre.directory / "outbox", self.intake[file_no], content, centre.disk)

    def answer(self) -> None:
        """Result receipts of a committed batch, once its feedback is there."""
        centre = self.centre
        centre.disk.settle()
        for file in self.files:
            entry = self.intake[file["file_no"]]
            write_receipt(centre.directory / "outbox", entry, file["results"], centre.disk)
        centre.disk.settle()
        if self.summary.batch is not None:
            write_after_run(centre, centre.journal.entries[self.summary.batch - 1], self.intake)

    def close(self) -> None:
        """Drop what was spilled."""
        self.partitions.close()
        self.remembering.close()
        self.shelf.close()
        shutil.rmtree(self.centre.directory / "work" / "spill", ignore_errors=True)


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
