"""Transactions of one capture point, folded from its journal.

Life of a transaction: *intended* (on disk before the debit is sent) → *debited*, *refused* or *torn*; what was
intended when the process died is torn too. A torn one is a **grey record**: decided later as debited or not debited,
never guessed, and listed as open until then. Each transition is one journal entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from card_io.capture.errors import CaptureStateError
from card_io.capture.journal import Clock, Entry, Journal, read_entries, wall_clock_ns
from card_io.readers.exchange import Exchange
from card_io.records import Service, fields_of

JOURNAL: Final = "capture.journal"
"""Name of the journal in a capture point's folder."""


class State(StrEnum):
    """How far a transaction got."""

    INTENDED = "intended"
    DEBITED = "debited"
    REFUSED = "refused"
    TORN = "torn"
    NOT_DEBITED = "not_debited"


TAKEN: Final = frozenset({"received", "repeated"})
"""Outcomes of an acknowledgement that say that the centre has the rows."""

OPEN: Final = frozenset({State.INTENDED, State.TORN})
"""States in which nobody knows whether the card moved."""


@dataclass(slots=True)
class Transaction:
    """One transaction as the journal tells it; ``number`` is the sequence of the entry that intended it.

    ``columns`` are those of :func:`card_io.records.fields_of` known so far (None = missing), ``bills`` those of
    :data:`card_io.records.BILL_FIELDS`. ``exchange_sha256`` names the newest exchange with the card (hex),
    ``decided_by`` what settled a grey record.
    """

    number: int
    intended_ns: int
    service: Service
    card_no: str
    columns: dict[str, int | None]
    bills: list[dict[str, int]]
    delivered: bool
    state: State = State.INTENDED
    exchange_sha256: str | None = None
    decided_by: str | None = None
    in_delivery: int | None = None
    grey_in_delivery: int | None = None

    @property
    def amount(self) -> int:
        """Fen moved, or meant to move, on the purse."""
        return int(self.columns["amount"] or 0)

    @property
    def is_grey(self) -> bool:
        """Nobody knows whether the card moved."""
        return self.state in OPEN

    @property
    def is_unproved(self) -> bool:
        """The card's log says that it moved, but its TAC is gone: the centre needs other evidence."""
        return self.state is State.DEBITED and self.decided_by is not None and self.columns.get("tac") is None


@dataclass(slots=True)
class CaptureState:
    """Everything a journal's entries add up to."""

    transactions: dict[int, Transaction] = field(default_factory=dict)
    deliveries: dict[int, Entry] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    answers: dict[int, Entry] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Add the next entry."""
        body = entry.body
        match entry.kind:
            case "intent":
                self.transactions[entry.sequence] = Transaction(
                    number=entry.sequence,
                    intended_ns=entry.wall_ns,
                    service=Service[body["service"].upper()],
                    card_no=body["card_no"],
                    columns=dict(body["columns"]),
                    bills=list(body["bills"]),
                    delivered=body["delivered"],
                )
            case "outcome" | "decision":
                transaction = self.transactions[body["of"]]
                transaction.state = State(body["state"])
                transaction.columns |= body["columns"]
                if body["exchange"] is not None:
                    transaction.exchange_sha256 = body["exchange"]["sha256"]
                if entry.kind == "decision":
                    transaction.decided_by = body["by"]
            case "delivery":
                self.deliveries[entry.sequence] = entry
                for number in body["rows"]:
                    self.transactions[number].in_delivery = entry.sequence
                for number in body["grey_rows"]:
                    self.transactions[number].grey_in_delivery = entry.sequence
            case "release":
                self.released.add(body["of"])
            case "answer":
                self.answers[body["of"]] = entry
            case _:
                # Notes (a torn tail, a tap that moved nothing) change no transaction.
                pass

    def grey(self) -> list[Transaction]:
        """Open grey records in the order in which they were intended."""
        return [each for each in self.transactions.values() if each.is_grey]

    def unsent(self) -> list[Transaction]:
        """Debited transactions that no delivery holds yet; what went as grey and has no TAC is as it was."""
        return [
            each
            for each in self.transactions.values()
            if each.delivered
            and each.state is State.DEBITED
            and each.in_delivery is None
            and not (each.is_unproved and each.grey_in_delivery is not None)
        ]

    def open_deliveries(self) -> list[Entry]:
        """Deliveries that the centre has not taken: unanswered or refused."""
        return [entry for number, entry in self.deliveries.items() if not self.is_taken(number)]

    def is_taken(self, delivery: int) -> bool:
        """Whether the centre has acknowledged the delivery."""
        return delivery in self.answers and self.answers[delivery].body["outcome"] in TAKEN


class CapturePoint:
    """One terminal's journal and the state it adds up to; the folder belongs to this process until closed."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        """Use :meth:`open`."""
        self.folder = folder
        self.journal = journal
        self.state = CaptureState()
        for entry in journal.entries:
            self.state.take(entry)

    @classmethod
    def open(cls, folder: Path, *, clock: Clock = wall_clock_ns) -> CapturePoint:
        """Open the capture point in ``folder``; what was intended when an earlier process died becomes torn.

        Raises:
            JournalBusyError, JournalBrokenError, JournalFullError: of :meth:`Journal.open`.
        """
        point = cls(folder, Journal.open(folder / JOURNAL, clock=clock))
        for transaction in point.state.grey():
            if transaction.state is State.INTENDED:
                point.tear(transaction.number, None)
        return point

    def close(self) -> None:
        """Let the folder go."""
        self.journal.close()

    def __enter__(self) -> CapturePoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def intend(
        self,
        service: Service,
        card_no: str,
        columns: Mapping[str, int | None],
        bills: Sequence[Mapping[str, int]] = (),
        *,
        delivered: bool = True,
    ) -> int:
        """Put on disk what is about to happen, and return its number; only then may the debit be sent.

        Args:
            service: what the cardholder does.
            card_no: application serial of the card.
            columns: the record as far as it is known.
            bills: bills a utility payment is for.
            delivered: False for a tap the centre does not clear (a gate entry).

        Raises:
            CaptureStateError: a column is unknown or one that is never missing has no value.
            JournalFullError: there is no room for this and its outcome.
        """
        _check_columns(service, columns)
        body = {
            "service": service.name.lower(),
            "card_no": card_no,
            "columns": dict(columns),
            "bills": [dict(bill) for bill in bills],
            "delivered": delivered,
        }
        return self._append("intent", body, begins=True).sequence

    def debited(self, number: int, columns: Mapping[str, int | None], exchange: Exchange | None) -> None:
        """The card answered: it moved. On return this is on disk and the gate may open."""
        self._outcome(number, State.DEBITED, columns, exchange)

    def refused(self, number: int, exchange: Exchange | None) -> None:
        """The card answered with an error: it did not move."""
        self._outcome(number, State.REFUSED, {}, exchange)

    def tear(self, number: int, exchange: Exchange | None) -> None:
        """No answer came: nobody knows."""
        self._outcome(number, State.TORN, {}, exchange)

    def decide(
        self,
        number: int,
        state: State,
        by: str,
        columns: Mapping[str, int | None],
        exchange: Exchange | None,
    ) -> None:
        """Settle a grey record.

        Args:
            number: of the transaction.
            state: DEBITED or NOT_DEBITED.
            by: the evidence.
            columns: what is known now (a TAC).
            exchange: the exchange that gave the evidence.

        Raises:
            CaptureStateError: the transaction is not open.
        """
        if state not in (State.DEBITED, State.NOT_DEBITED) or not self.state.transactions[number].is_grey:
            raise CaptureStateError(f"transaction {number} is not open for {state}", "list it with: card deliver")
        self._append("decision", {"of": number, "state": state, "by": by, **_told(columns, exchange)})

    def of_card(self, card_no: str) -> list[Transaction]:
        """Open grey records of one card, oldest first."""
        return [each for each in self.state.grey() if each.card_no == card_no]

    def note(self, what: str, **facts: Any) -> None:
        """Record something that moves no money (a card turned away, a changed parameter version)."""
        self._append("note", {"what": what, **facts})

    def delivery(self, body: Mapping[str, Any]) -> Entry:
        """Record which transactions a delivery holds; written before its files are."""
        return self._append("delivery", body)

    def released(self, delivery: int) -> None:
        """Record that a delivery's files, manifest included, are in place."""
        self._append("release", {"of": delivery})

    def answered(self, delivery: int, document: str, outcome: str, reason: str | None) -> None:
        """Record the centre's answer: the name of its document and what became of the delivery."""
        self._append("answer", {"of": delivery, "document": document, "outcome": outcome, "reason": reason})

    def _outcome(
        self, number: int, state: State, columns: Mapping[str, int | None], exchange: Exchange | None
    ) -> None:
        if self.state.transactions[number].state is not State.INTENDED:
            raise CaptureStateError(f"transaction {number} has an outcome already", "report it")
        self._append("outcome", {"of": number, "state": state, **_told(columns, exchange)})

    def _append(self, kind: str, body: Mapping[str, Any], *, begins: bool = False) -> Entry:
        entry = self.journal.append(kind, body, begins=begins)
        self.state.take(entry)
        return entry


def _check_columns(service: Service, columns: Mapping[str, int | None]) -> None:
    """A record that could not be delivered must not become a debit."""
    fields = {field.name: field for field in fields_of(service) if field.name != "record_state"}
    unknown = sorted(set(columns) - set(fields))
    missing = [f.name for f in fields.values() if not f.nullable and columns.get(f.name) is None]
    if unknown or missing:
        found = f"has no column {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise CaptureStateError(f"a {service.name.lower()} record {found}", "correct the terminal program")


def _told(columns: Mapping[str, int | None], exchange: Exchange | None) -> dict[str, Any]:
    told = None if exchange is None else {"sha256": exchange.sha256, "hex": exchange.to_bytes().hex()}
    return {"columns": dict(columns), "exchange": told}


def read_state(folder: Path) -> CaptureState:
    """The state of a capture point that another process may hold; nothing is written.

    Raises:
        JournalBrokenError: the journal is broken in its middle.
    """
    state = CaptureState()
    if (folder / JOURNAL).exists():
        for entry in read_entries(folder / JOURNAL):
            state.take(entry)
    return state


def exchanges(folder: Path) -> Iterator[tuple[int, Exchange]]:
    """(transaction number, exchange) of everything the journal in ``folder`` keeps of dialogues with cards."""
    for entry in read_entries(folder / JOURNAL):
        if told := entry.body.get("exchange"):
            yield entry.body["of"], Exchange.from_bytes(bytes.fromhex(told["hex"]))
