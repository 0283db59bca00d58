"""What became of a torn transaction, by what the card itself says when it is touched again.

A grey record began at a counter c. When the card's next counter

* is still c, the card committed nothing;
* is beyond c, exactly one transaction took c: ours or another's. The card's log (file 18) says which, as long as the
  record stands in it; GET TRANSACTION PROVE gives the TAC of the last transaction of a type, and so of ours only
  while the counter is c + 1 — nothing came between;
* is below c, the card contradicts itself, and nothing is believed.

GET TRANSACTION PROVE alone does not tell our transaction from another one of the same type that took c after ours
failed: the TAC is then kept as the card's word, and the centre, which can check it, decides. Nothing is guessed:
what is left open stays on the list (sources: `shared/reference/card-standards.md` §2, §2.1, §3.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from card_io.capture.transactions import State
from card_io.layouts.files import LogRecord


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the card says now.

    Attributes:
        counter: counter its next transaction of this direction begins at; None = it would not say.
        tac: answer of GET TRANSACTION PROVE for the grey record's type and counter; None = 9406 or not asked.
        log: the log of this direction's transactions, newest first; None = not readable.
    """

    counter: int | None
    tac: bytes | None
    log: Sequence[LogRecord] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """DEBITED or NOT_DEBITED and by what; ``state`` None = still open, ``by`` says why. ``tac`` where it is known."""

    state: State | None
    by: str
    tac: bytes | None = None


def decide(columns: Mapping[str, int | None], evidence: Evidence) -> Verdict:
    """Judge one grey record.

    Args:
        columns: of the record as intended; its ``card_counter`` is the value before the transaction.
        evidence: what the card says on a later touch.
    """
    began = columns.get("card_counter")
    if began is None:
        return Verdict(None, "no_counter")
    if evidence.counter is not None and evidence.counter < began:
        return Verdict(None, "counter_contradicts")
    if evidence.counter == began:
        return Verdict(State.NOT_DEBITED, "counter")
    logged = next((each for each in evidence.log or () if each.counter == began + 1), None)
    if logged is not None:
        if not _is_ours(logged, columns):
            return Verdict(State.NOT_DEBITED, "log")
        last = evidence.counter == began + 1
        tac = evidence.tac if last else None
        return Verdict(State.DEBITED, "log" if tac is None else "prove", tac)
    if evidence.counter == began + 1 and evidence.tac is not None:
        return Verdict(None, "proof_without_log", evidence.tac)
    return Verdict(None, "log_overwritten" if evidence.log else "log_unreadable")


def _is_ours(logged: LogRecord, columns: Mapping[str, int | None]) -> bool:
    """Whether a log record is this transaction: amount, type, terminal and second of time agree."""
    said = (logged.amount, logged.txn_type, int(logged.terminal, 16), logged.date4, logged.time3)
    return said == tuple(columns[name] for name in ("amount", "txn_type", "terminal_id", "date4", "time3"))
