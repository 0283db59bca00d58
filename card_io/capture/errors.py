"""What can go wrong while capturing, each with what happened and what the operator can do about it."""

from __future__ import annotations


class CaptureError(Exception):
    """Base of every error of `card_io.capture`: `what` was found and where, `remedy` for a person."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class JournalBusyError(CaptureError):
    """Another process holds the journal."""


class JournalBrokenError(CaptureError):
    """The journal is broken in its middle, or does not chain: evidence is gone and nobody may cut it."""


class JournalFullError(CaptureError):
    """There is no room for the next transaction: the gate does not open."""


class JournalFailedError(CaptureError):
    """A write did not reach the disk; what is on it is known only after the journal is opened again."""


class CaptureStateError(CaptureError):
    """A transaction is not in a state in which this can happen to it."""


class DeliveryStateError(CaptureError):
    """What lies in the delivery folders contradicts the journal."""
