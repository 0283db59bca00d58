"""What a command of the virtual card works on, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from card_io.apdu import Command
from card_io.records import TxnType
from card_io.virtual_card.memory import Block, CardMemory, KeySet


class Refused(Exception):  # noqa: N818 (a status word is the card's regular answer, no error of the program)
    """The command ends with a status word other than 9000; what the handler changed until then stays."""

    def __init__(self, status: int, data: bytes = b"") -> None:
        super().__init__(f"{status:04X}")
        self.status = status
        self.data = data


@dataclass(frozen=True, slots=True)
class Pending:
    """An initialised transaction that waits for its second command."""

    txn_type: TxnType
    amount: int
    terminal: bytes
    keys: KeySet
    random: bytes
    cache: tuple[bytes, ...] = ()
    """Records of UPDATE CAPP DATA CACHE: written together with the debit, or never."""


@dataclass(slots=True)
class Work:
    """Memory as it will be after the command, and what the card knows only while it has power."""

    memory: CardMemory
    random: Callable[[int], bytes]
    selected: bool = False
    pin_verified: bool = False
    challenge: bytes = b""
    pending: Pending | None = None

    def require_purse(self) -> None:
        """Refuse unless the purse is selected and not blocked."""
        if not self.selected:
            raise Refused(0x6985)
        if self.memory.block is not Block.NONE:
            raise Refused(0x9303)


Handler = Callable[[Work, Command], bytes]
"""Takes the work and the command, returns the response's data; raises `Refused`."""


def require(condition: bool, status: int) -> None:
    """Refuse with `status` unless the condition holds."""
    if not condition:
        raise Refused(status)
