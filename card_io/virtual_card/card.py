"""The virtual card: one command in, one response out, everything committed before the response leaves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from card_io.apdu import OK, Command, Response
from card_io.virtual_card import file_commands, purse_commands, security_commands
from card_io.virtual_card.memory import CardMemory
from card_io.virtual_card.work import Handler, Refused, Work

ATR: Final = bytes.fromhex("3B80800101")
"""T=1, no historical bytes: what a contactless card looks like through PC/SC part 3."""

_HANDLERS: Final[dict[tuple[int, int], Handler]] = {
    (0x00, 0xA4): file_commands.select,
    (0x00, 0xB0): file_commands.read_binary,
    (0x00, 0xB2): file_commands.read_record,
    (0x04, 0xD6): file_commands.update_binary,
    (0x04, 0xDC): file_commands.update_record,
    (0x80, 0xDC): file_commands.update_cache,
    (0x00, 0x20): security_commands.verify_pin,
    (0x80, 0x5E): security_commands.change_pin,
    (0x00, 0x84): security_commands.get_challenge,
    (0x84, 0x1E): security_commands.block,
    (0x84, 0x18): security_commands.unblock,
    (0x80, 0x50): purse_commands.initialise,
    (0x80, 0x52): purse_commands.credit,
    (0x80, 0x54): purse_commands.debit,
    (0x80, 0x58): purse_commands.update_overdraw_limit,
    (0x80, 0x5A): purse_commands.prove,
    (0x80, 0x5C): purse_commands.balance,
}
_CLASSES: Final = frozenset(cla for cla, _ in _HANDLERS)
_KEEPS_PENDING: Final = frozenset({(0x80, 0x52), (0x80, 0x54), (0x80, 0x58), (0x80, 0xDC)})
"""Second commands of a transaction; any other command gives it up."""
_KEEPS_CHALLENGE: Final = frozenset({(0x84, 0x1E), (0x84, 0x18), (0x04, 0xD6), (0x04, 0xDC)})


class VirtualCard:
    """A card: `memory` survives a power cut, all else does not.

    Like a real one it is a single thread: a command is worked out on a copy, committed in one step, and only then
    answered. `transmit` commits; `execute` with `commit=False` is a card that lost power just before.
    """

    def __init__(self, memory: CardMemory, *, random: Callable[[int], bytes] = os.urandom) -> None:
        """`random` gives the card's random numbers; tests give a fixed one."""
        self.memory = memory
        self.atr = ATR
        self._random = random
        self.reset()

    def reset(self) -> None:
        """Power off and on: selection, PIN, challenge and a transaction under way are gone."""
        self._volatile = Work(self.memory, self._random)

    def transmit(self, raw: bytes) -> bytes:
        """Carry out a command and return the response with its status word."""
        return self.execute(raw, commit=True)

    def execute(self, raw: bytes, *, commit: bool) -> bytes:
        """Carry out a command; without `commit` the memory stays as it was, and the card should be reset."""
        work = self._volatile
        work.memory = self.memory
        response = _answer(work, raw)
        if commit:
            self.memory = work.memory
        return response.to_bytes()


def _answer(work: Work, raw: bytes) -> Response:
    try:
        command = Command.parse(raw)
    except ValueError:
        return Response(b"", 0x6700)
    name = (command.cla, command.ins)
    if name not in _KEEPS_PENDING:
        work.pending = None
    if name not in _KEEPS_CHALLENGE:
        work.challenge = b""
    handler = _HANDLERS.get(name)
    if handler is None:
        return Response(b"", 0x6D00 if command.cla in _CLASSES else 0x6E00)
    try:
        return Response(handler(work, command), OK)
    except Refused as refused:
        return Response(refused.data, refused.status)
