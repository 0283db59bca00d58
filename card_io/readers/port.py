"""What a purse dialogue needs of a card reader, whatever it is: PC/SC, a script, a recording, a card in process."""

from __future__ import annotations

from typing import Protocol


class CardSession(Protocol):
    """A connection to the one card that was in the reader when it was opened.

    A session never moves over to another card: once its card has left, every further call raises `TornFault` (the
    command may have reached the card) or `NoCardFault` (it surely did not).
    """

    @property
    def atr(self) -> bytes:
        """Answer to reset of the card."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Send one command; return data and status word.

        61xx and 6Cxx are handed up as they are. Raises `ReaderFault`, `NoCardFault`, `TornFault`, or `ProtocolFault`
        for an answer of fewer than two bytes.
        """
        ...

    def begin_transaction(self) -> None:
        """Keep other programs from the card until `end_transaction`; waits for theirs. Raises like `transmit`."""
        ...

    def end_transaction(self) -> None:
        """Let others talk to the card again; quiet when the card or the reader is gone."""
        ...

    def disconnect(self) -> None:
        """Give the card back; quiet when it is gone already, and when called twice."""
        ...


class Reader(Protocol):
    """A place where a card can be."""

    @property
    def name(self) -> str:
        """The reader's name, unique on this machine."""
        ...

    def connect(self, timeout: float = 0.0) -> CardSession:
        """Open a session with the card in the reader, waiting up to `timeout` seconds for one.

        Raises `NoCardFault` when none comes, `ReaderFault` when the reader cannot be used.
        """
        ...
