"""A reader in this process for virtual cards, and the removal of the card at any byte.

What a removal leaves behind, for a command of n bytes and a response of m:

    command, byte 0 … n−1    the card did not get the whole command: nothing happened
    command, byte n          it got the command and lost power before its one commit: nothing happened
    response, byte 0 … m−1   it committed, the reader did not get the whole response
    response, byte m         the response arrived, then the card left: the next command finds no card
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from card_io.readers.faults import NoCardFault, TornFault
from card_io.virtual_card.card import VirtualCard


class Direction(StrEnum):
    """Which way the bytes were going when the card left."""

    COMMAND = "command"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Tear:
    """Removal at the command of this number (0: the next one), after so many bytes in this direction."""

    command: int
    direction: Direction
    byte: int


class VirtualReader:
    """A reader slot; `insert` and `remove` are the cardholder's hand."""

    def __init__(self, card: VirtualCard | None = None, name: str = "virtual reader") -> None:
        self.name = name
        self.card: VirtualCard | None = None
        self.tear: Tear | None = None
        if card is not None:
            self.insert(card)

    def insert(self, card: VirtualCard) -> None:
        """Power the card up; a card in the reader is removed first."""
        self.remove()
        card.reset()
        self.card = card

    def remove(self) -> None:
        """Take the card out, between two commands."""
        if self.card is not None:
            self.card.reset()
        self.card = None

    def connect(self, timeout: float = 0.0) -> VirtualSession:
        """Open a session with the card in the reader; `NoCardFault` when there is none."""
        if self.card is None:
            raise NoCardFault(f"no card in {self.name!r}", "present the card")
        return VirtualSession(self, self.card)


class VirtualSession:
    """Session with one insertion of a card."""

    def __init__(self, reader: VirtualReader, card: VirtualCard) -> None:
        self.atr = card.atr
        self._reader = reader
        self._card: VirtualCard | None = card

    def transmit(self, command: bytes) -> bytes:
        """Let the card answer, or leave as the reader's `tear` says."""
        card = self._card
        if card is None or self._reader.card is not card:
            self._card = None
            raise NoCardFault(f"the card has left {self._reader.name!r}", "present the card again")
        tear = self._reader.tear
        if tear is None:
            return card.transmit(command)
        if tear.command > 0:
            self._reader.tear = Tear(tear.command - 1, tear.direction, tear.byte)
            return card.transmit(command)
        return self._torn(card, command, tear)

    def _torn(self, card: VirtualCard, command: bytes, tear: Tear) -> bytes:
        self._reader.tear = None
        response = b""
        if tear.direction is Direction.RESPONSE:
            response = card.transmit(command)
        elif tear.byte >= len(command):
            card.execute(command, commit=False)
        self._reader.remove()
        self._card = None
        if tear.direction is Direction.RESPONSE and tear.byte >= len(response):
            return response
        name = command[:4].hex().upper()
        raise TornFault(f"the card left {self._reader.name!r} during {name}", "present the card again")

    def begin_transaction(self) -> None:
        """Nobody else uses a reader in this process."""

    def end_transaction(self) -> None:
        """Nobody else uses a reader in this process."""

    def disconnect(self) -> None:
        """Give the card back; it stays in the reader."""
        if self._card is not None:
            self._card.reset()
        self._card = None
