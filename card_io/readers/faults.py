"""Faults of a card dialogue, split by who acts. Each keeps the dialogue up to where it broke."""

from __future__ import annotations

from card_io.layouts.status_words import status_word
from card_io.readers.exchange import Exchange


class DialogueFault(Exception):  # noqa: N818 (the field says fault; each names who acts)
    """Base of all: what was found, what to do next, and the commands and responses so far.

    `exchange` is filled in by the channel that was talking (`card_io.apdu.CardChannel`); its last step has the
    response ``None`` when the fault left that command's outcome unknown.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy
        self.exchange = Exchange()


class ReaderFault(DialogueFault):
    """The operator or the machine acts: reader unplugged, daemon gone, reader held by another program."""

    def __init__(self, reader: str, what: str, remedy: str, *, in_command: bool = False) -> None:
        """`in_command`: it broke while a command was on its way, so that command's outcome is unknown."""
        super().__init__(f"reader {reader!r}: {what}", remedy)
        self.reader = reader
        self.in_command = in_command


class CardFault(DialogueFault):
    """The cardholder or the card's issuer acts."""


class NoCardFault(CardFault):
    """No card in the reader, or another one than the dialogue began with; nothing was sent to it."""


class TornFault(CardFault):
    """The card left, or fell silent, during a command: whether it carried the command out is unknown."""


class RefusedFault(CardFault):
    """The card answered with a status word that the dialogue cannot go on with."""

    def __init__(self, command: str, status: int) -> None:
        found = status_word(status)
        super().__init__(
            f"{command}: the card answered {status:04X} ({found.zh}; {found.en})", f"{found.outcome} case"
        )
        self.command = command
        self.status = status


class ProtocolFault(DialogueFault):
    """The maker of card or program acts: an answer breaks the standard, or a script did not foresee a command."""
