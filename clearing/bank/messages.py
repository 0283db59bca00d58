"""The shape of what a bank says, whatever its format: answers to an order, and statements of our accounts."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal

from clearing.errors import ClearingError

Direction = Literal["credit", "debit"]
"""As the bank books it on our account: credit = money came in."""


class BankFileError(ClearingError):
    """A bank file that cannot be read, or contradicts itself; ``code`` is its outcome."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(what, remedy="ask the bank for a correct file")
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one payment of a message: accepted or rejected by the bank, nothing booked yet."""

    payment: str
    result: Literal["accepted", "rejected"]
    reason: str = ""
    fen: int | None = None
    account: str | None = None
    information: str = ""
    """PmtInfId when the bank answers about a whole payment information; ``payment`` is empty then."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to one of our messages (``original``), with the count and sum the bank repeats of it."""

    original: str
    listed: tuple[Answer, ...]
    rows: int | None = None
    fen: int | None = None
    rejected: str | None = None
    """Reason with which the whole message was rejected."""


@dataclass(frozen=True, slots=True)
class Line:
    """One booked movement on our account."""

    direction: Direction
    fen: int
    payment: str = ""
    """EndToEndId, empty when the bank gives none."""
    text: str = ""
    reference: str = ""
    """The bank's own number of the movement."""
    account: str | None = None
    """Number of the other side's account."""
    reason: str = ""
    booked: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one account. A notice (camt.054) has no balances and need not be complete."""

    account: str
    number: str
    lines: tuple[Line, ...]
    opening: int | None = None
    closing: int | None = None
    dated: datetime.date | None = None

    @property
    def notice(self) -> bool:
        """Whether it is a mere notice of single movements."""
        return self.opening is None


@dataclass(frozen=True, slots=True)
class BankFile:
    """A bank file as read."""

    format: str
    message: str
    """The bank's own identification of the file, empty when it gives none."""
    answers: tuple[Answers, ...] = ()
    statements: tuple[Statement, ...] = field(default=())
