"""Capture journal → signed delivery files, each transaction exactly once (DESIGN §3).

The journal decides: a delivery is an entry that names its rows and its identity (sender, file date, sequence) before
a byte of it is written. Files follow from the journal up to that entry, so after a kill at any moment they are
written again, equal; the manifest comes last and releases the delivery. It is closed by the centre's acknowledgement.
A delivery sent twice has one identity, and the centre answers *repeated*.

Identities need no coordination between the terminals of a sender: the sequence is terminal number · 2¹⁵ + count.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from card_io.capture.errors import DeliveryStateError
from card_io.capture.journal import Entry
from card_io.capture.settings import TerminalSettings
from card_io.capture.transactions import TAKEN, CapturePoint, CaptureState, State, Transaction
from card_io.delivery.manifest import PARQUET, Manifest, RegisterKind, TerminalRegister, manifest_name
from card_io.delivery.parquet import write_parquet
from card_io.durable import durable_file, write_durably
from card_io.keys.signature import SigningKey
from card_io.records import BILL_FIELDS, NULL, Columns, RecordState, Service, fields_of, mask_card

MAX_ROWS: Final = 4_000
"""Rows of one delivery: the entry that names them has to fit the journal."""

_COUNT_BITS: Final = 15
_ANSWERS: Final = "*.acknowledgement.json"


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """One delivery that is not closed: its file, rows, fen, and the centre's refusal if there is one."""

    file: str
    rows: int
    fen: int
    refusal: str | None


@dataclass(slots=True)
class DeliveryReport:
    """What a run of :func:`deliver` found and did; money in fen.

    ``sent`` are files released by this run, ``closed`` those the centre has acknowledged by now, ``waiting`` those it
    has not; ``unsent`` counts debited transactions in no delivery, ``grey`` the torn ones nobody could decide so far
    (masked card, terminal counter, fen).
    """

    sent: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    waiting: list[DeliveryState] = field(default_factory=list)
    unsent_rows: int = 0
    unsent_fen: int = 0
    grey: list[dict[str, Any]] = field(default_factory=list)
    torn_tails: int = 0
    clock_jumps: int = 0


def deliver(
    point: CapturePoint, settings: TerminalSettings, key: SigningKey, now_ns: int, *, again: bool = False
) -> DeliveryReport:
    """Take the centre's answers, complete what an earlier run began, and deliver everything new.

    Args:
        point: the opened capture point.
        settings: of the terminal.
        key: the sender's signing key.
        now_ns: wall time.
        again: also send once more what was refused or has no answer.

    Raises:
        JournalFullError: there is no room to record a delivery; nothing was sent.
        OSError: a folder cannot be written; the next run goes on from there.
    """
    report = DeliveryReport()
    report.closed = list(_take_answers(point, settings.answers))
    for entry in point.state.open_deliveries():
        if entry.sequence not in point.state.released or again:
            _release(point, entry, settings, key, report)
    for service in Service:
        rows, grey = _due(point.state, service, now_ns - settings.grey_hold_seconds * 10**9)
        due = [*rows, *grey]
        for start in range(0, len(due), MAX_ROWS):
            part = due[start : start + MAX_ROWS]
            entry = point.delivery(_identity(point, settings, service, part, now_ns))
            _release(point, entry, settings, key, report)
    _account(point, report)
    return report


def report_only(point: CapturePoint) -> DeliveryReport:
    """What is unsent, unanswered or undecided; nothing is written."""
    report = DeliveryReport()
    _account(point, report)
    return report


def _take_answers(point: CapturePoint, folder: Path) -> Iterator[str]:
    """Record acknowledgements that have arrived; yields the files that they close."""
    answers: dict[tuple[int, str, int], list[tuple[str, dict[str, Any]]]] = {}
    for path in sorted(folder.glob(_ANSWERS)) if folder.is_dir() else ():
        document = json.loads(path.read_bytes())
        identity = (document["sender"], document["file_date"], document["sequence"])
        answers.setdefault(identity, []).append((path.name, document))
    for entry in point.state.open_deliveries():
        known = point.state.answers.get(entry.sequence)
        body = entry.body
        found = answers.get((body["sender"], body["file_date"], body["sequence"]), [])
        newer = [each for each in found if known is None or each[0] > known.body["document"]]
        taken = [each for each in newer if each[1]["outcome"] in TAKEN]
        for name, document in (taken or newer)[-1:]:
            point.answered(entry.sequence, name, document["outcome"], document["reason"])
            if taken:
                yield body["file"]


def _due(state: CaptureState, service: Service, grey_before_ns: int) -> tuple[list[Transaction], list[Transaction]]:
    """Debited transactions in no delivery yet, and grey records that have waited for their card long enough."""
    rows = [each for each in state.unsent() if each.service is service]
    grey = [
        each
        for each in state.grey()
        if each.service is service
        and each.delivered
        and each.grey_in_delivery is None
        and each.intended_ns <= grey_before_ns
    ]
    return rows, grey


def _identity(
    point: CapturePoint, settings: TerminalSettings, service: Service, rows: list[Transaction], now_ns: int
) -> dict[str, Any]:
    """The body of the entry that makes a delivery."""
    now = datetime.fromtimestamp(now_ns // 10**9, UTC).replace(tzinfo=None)
    file_date = now.date().isoformat()
    count = 1 + sum(entry.body["file_date"] == file_date for entry in point.state.deliveries.values())
    if count >= 1 << _COUNT_BITS:
        raise DeliveryStateError(f"{count} deliveries on {file_date}", "deliver less often")
    name = service.name.lower()
    return {
        "sender": settings.sender,
        "service": name,
        "file_date": file_date,
        "sequence": (settings.terminal_number << _COUNT_BITS) + count,
        "file": f"{settings.sender:04d}-{name}-{file_date}-{settings.terminal_id}-{count:05d}.parquet",
        "sent_at": now.isoformat(timespec="seconds"),
        "rows": [each.number for each in rows if not each.is_grey],
        "grey_rows": [each.number for each in rows if each.is_grey],
    }


def _release(
    point: CapturePoint, entry: Entry, settings: TerminalSettings, key: SigningKey, report: DeliveryReport
) -> None:
    """Write data file and manifest of a delivery, the manifest last, and record that they are there."""
    body = entry.body
    rows, register = _content(point.journal.entries, entry, settings)
    data = _parquet(Service[body["service"].upper()], rows)
    manifest = Manifest(
        format_version=1,
        sender=body["sender"],
        service=body["service"],
        file_date=body["file_date"],
        sequence=body["sequence"],
        file=body["file"],
        format=PARQUET,
        rows=len(rows),
        amount_fen=sum(each.amount for each in rows),
        sha256=hashlib.sha256(data).hexdigest(),
        sent_at=body["sent_at"],
        registers=[register],
    ).with_signature(key.sign)
    with durable_file(settings.drop / body["file"]) as file:
        file.write(data)
    document = json.dumps(manifest.model_dump(exclude_unset=True), ensure_ascii=False, indent=1)
    write_durably(settings.drop / manifest_name(body["file"]), document.encode())
    if entry.sequence not in point.state.released:
        point.released(entry.sequence)
    report.sent.append(body["file"])


def _content(
    entries: list[Entry], delivery: Entry, settings: TerminalSettings
) -> tuple[list[Transaction], TerminalRegister]:
    """A delivery's rows as they were known when it was made, and the terminal's register at that moment."""
    state, last, drawn_since = CaptureState(), delivery, 0
    for entry in entries:
        if entry.sequence >= delivery.sequence:
            break
        state.take(entry)
        last = entry
        if entry.kind == "delivery":
            drawn_since = entry.sequence
    body = delivery.body
    rows = [state.transactions[number] for number in (*body["rows"], *body["grey_rows"])]
    drawn = [each for each in state.transactions.values() if each.number > drawn_since]
    counters = [c for each in drawn if (c := each.columns.get("terminal_counter")) is not None]
    without_row = (State.REFUSED, State.NOT_DEBITED)
    grey = [each for each in state.grey() if each.grey_in_delivery is None and each.number not in body["grey_rows"]]
    types = sorted({int(each.columns["txn_type"] or 0) for each in rows})
    register = TerminalRegister(
        terminal_id=settings.terminal_id,
        counter_start=min(counters, default=None),
        counter_end=max(counters, default=None),
        drawn=len(drawn),
        refused=sum(each.state in without_row or not each.delivered for each in drawn),
        kinds=[_kind(rows, txn_type) for txn_type in types],
        grey_rows=len(grey),
        grey_fen=sum(each.amount for each in grey),
        journal_sequence=last.sequence,
        journal_digest=last.digest.hex(),
    )
    return rows, register


def _kind(rows: list[Transaction], txn_type: int) -> RegisterKind:
    amounts = [each.amount for each in rows if each.columns["txn_type"] == txn_type]
    return RegisterKind(txn_type=txn_type, rows=len(amounts), fen=sum(amounts))


def _parquet(service: Service, rows: list[Transaction]) -> bytes:
    columns: Columns = {}
    for each in fields_of(service):
        values = [_value(row, each.name) for row in rows]
        columns[each.name] = np.array([NULL if value is None else value for value in values], each.dtype)
    bills: Columns = {"bill_row": np.array([at for at, row in enumerate(rows) for _ in row.bills], np.int64)}
    for each in BILL_FIELDS:
        bills[each.name] = np.array([bill[each.name] for row in rows for bill in row.bills], each.dtype)
    exchanges = [bytes.fromhex(row.exchange_sha256) if row.exchange_sha256 else None for row in rows]
    file = io.BytesIO()
    write_parquet(file, service, [row.card_no for row in rows], columns, bills, exchange_sha256=exchanges)
    return file.getvalue()


def _value(row: Transaction, name: str) -> int | None:
    if name == "record_state":
        return RecordState.GREY if row.is_grey or row.is_unproved else RecordState.NORMAL
    return row.columns.get(name)


def _account(point: CapturePoint, report: DeliveryReport) -> None:
    state = point.state
    for entry in state.open_deliveries():
        body = entry.body
        listed = [state.transactions[number] for number in (*body["rows"], *body["grey_rows"])]
        answer = state.answers.get(entry.sequence)
        refusal = None if answer is None else f"{answer.body['outcome']}: {answer.body['reason']}"
        report.waiting.append(DeliveryState(body["file"], len(listed), sum(t.amount for t in listed), refusal))
    unsent = state.unsent()
    report.unsent_rows, report.unsent_fen = len(unsent), sum(each.amount for each in unsent)
    report.grey = [
        {
            "number": each.number,
            "card": mask_card(each.card_no),
            "terminal_counter": each.columns.get("terminal_counter"),
            "fen": each.amount,
            "delivered_as_grey": each.grey_in_delivery is not None,
        }
        for each in state.grey()
    ]
    report.torn_tails = sum(entry.kind == "torn_tail" for entry in point.journal.entries)
    report.clock_jumps = len(point.journal.clock_jumps())
