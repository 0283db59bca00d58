"""PC/SC readers; the only home of pyscard, of which only the thin layer over the C interface is used.

Its `CardMonitor` thread dies when the daemon restarts and tells nobody, and `SCardTransmit` reports success, with no
bytes, when a card is torn out in mid-command (pyscard 2.3, pcsc-lite 1.9). So presence is watched here
(`card_io.readers.monitor`) and every result is judged here.

A session has a context of its own: pcsc-lite serialises the calls of one context. Give sessions back with
`disconnect`; nothing is left to the garbage collector.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from card_io.readers.faults import DialogueFault, NoCardFault, ReaderFault, TornFault

try:
    from smartcard import scard
except ImportError:  # pyscard is an extra: everything but this adapter works without it
    scard = None

_SLICE: Final = 0.5
"""Seconds that one wait in the daemon lasts at most: a dead daemon is noticed after it."""
_NOT_SENT: Final = ("SCARD_W_REMOVED_CARD", "SCARD_W_RESET_CARD", "SCARD_W_UNPOWERED_CARD", "SCARD_E_NO_SMARTCARD")
"""Results that pcsc-lite gives before it hands a command to the reader: the card surely did not get it."""
_SERVICE: Final = (
    "SCARD_E_NO_SERVICE",
    "SCARD_E_SERVICE_STOPPED",
    "SCARD_E_INVALID_HANDLE",
    # What a client is told, once in many runs, whose daemon dies while it reads the answer.
    "SCARD_E_NO_ACCESS",
    "SCARD_W_SECURITY_VIOLATION",  # a dying daemon may still refuse
    "SCARD_F_COMM_ERROR",
    "SCARD_E_READER_UNAVAILABLE",
    "SCARD_E_UNKNOWN_READER",
    "SCARD_E_NO_READERS_AVAILABLE",
)
_REMEDY: Final = {
    "SCARD_E_NO_SERVICE": "start the PC/SC daemon",
    "SCARD_E_SERVICE_STOPPED": "start the PC/SC daemon",
    "SCARD_E_SHARING_VIOLATION": "close the program that holds the reader",
    "SCARD_E_UNKNOWN_READER": "plug the reader in",
    "SCARD_E_READER_UNAVAILABLE": "plug the reader in",
    "SCARD_E_NO_READERS_AVAILABLE": "plug a reader in",
}


@dataclass(frozen=True, slots=True)
class SlotState:
    """State of one reader as the daemon told it last; 0 before it has told anything."""

    flags: int = 0

    @property
    def present(self) -> bool:
        """A card is in it."""
        return bool(self.flags & scard.SCARD_STATE_PRESENT)

    @property
    def events(self) -> int:
        """How often cards came and went (pcsc-lite counts in the upper half)."""
        return self.flags >> 16 & 0xFFFF


class PcscContext:
    """A connection to the daemon. `close` it; calls of one context are one after the other."""

    def __init__(self) -> None:
        """Raise `ReaderFault` when pyscard is missing or no daemon answers."""
        if scard is None:
            raise ReaderFault("PC/SC", "pyscard is not installed", "run scripts/setup --readers")
        result, self.handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        _check("PC/SC", result)

    def names(self) -> tuple[str, ...]:
        """Names of the readers that are plugged in; none is no fault."""
        result, names = scard.SCardListReaders(self.handle, [])
        if _name(result) == "SCARD_E_NO_READERS_AVAILABLE":
            return ()
        _check("PC/SC", result)
        return tuple(names)

    def wait(self, known: dict[str, SlotState], timeout: float) -> dict[str, SlotState]:
        """States of the readers in `known` once one differs from it, or after `timeout` seconds.

        Raises `ReaderFault` when the daemon or one of the readers has gone.
        """
        asked = [(name, state.flags) for name, state in known.items()]
        result, states = scard.SCardGetStatusChange(self.handle, max(0, int(timeout * 1000)), asked)
        if _name(result) == "SCARD_E_TIMEOUT":
            return dict(known)
        _check(", ".join(known) or "PC/SC", result)
        lost = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE
        gone = [name for name, flags, _ in states if flags & lost]
        if gone:
            raise ReaderFault(", ".join(gone), "it was unplugged", "plug the reader in")
        return {name: SlotState(flags & ~scard.SCARD_STATE_CHANGED) for name, flags, _ in states}

    def close(self) -> None:
        """Release the connection; quiet when the daemon has gone."""
        scard.SCardReleaseContext(self.handle)


def reader_names() -> tuple[str, ...]:
    """Readers that are plugged in now. Raises `ReaderFault` without pyscard or daemon."""
    context = PcscContext()
    try:
        return context.names()
    finally:
        context.close()


class PcscReader:
    """A PC/SC reader by name; it need not be plugged in until `connect`."""

    def __init__(self, name: str, *, exclusive: bool = False) -> None:
        """`exclusive`: no other program may even connect; else others wait only inside transactions."""
        self.name = name
        self._exclusive = exclusive

    def connect(self, timeout: float = 0.0) -> PcscSession:
        """Open a session with the card in the reader, waiting up to `timeout` seconds for one."""
        context = PcscContext()
        try:
            self._wait_for_card(context, timeout)
            share = scard.SCARD_SHARE_EXCLUSIVE if self._exclusive else scard.SCARD_SHARE_SHARED
            protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
            result, card, protocol = scard.SCardConnect(context.handle, self.name, share, protocols)
            if _name(result) in (*_NOT_SENT, "SCARD_W_UNRESPONSIVE_CARD", "SCARD_E_PROTO_MISMATCH"):
                raise NoCardFault(f"no answering card in {self.name!r} ({_text(result)})", "present the card again")
            _check(self.name, result)
            return PcscSession(self.name, context, card, protocol)
        except BaseException:
            context.close()
            raise

    def _wait_for_card(self, context: PcscContext, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        known = {self.name: SlotState()}
        while True:
            known = context.wait(known, min(_SLICE, max(0.0, deadline - time.monotonic())))
            if known[self.name].present:
                return
            if time.monotonic() >= deadline:
                raise NoCardFault(f"no card in {self.name!r}", "present the card")


class PcscSession:
    """Session with the card that was in the reader at `connect`."""

    def __init__(self, reader: str, context: PcscContext, card: Any, protocol: int) -> None:
        """Use `PcscReader.connect`."""
        self._reader = reader
        self._context = context
        self._card = card
        self._pci = scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        self._open = True
        self._broken = False
        """A command failed: the next card must not be reset by our disconnect."""
        result, _, _, _, atr = scard.SCardStatus(card)
        self.atr = bytes(atr) if result == scard.SCARD_S_SUCCESS else b""

    def transmit(self, command: bytes) -> bytes:
        """Send a command.

        Raises:
            NoCardFault: pcsc-lite says that the card had left before; the command was not sent.
            TornFault: everything else without an answer, "success" without bytes included.
            ReaderFault: daemon or reader gone; `in_command`, for it may have been on its way.
        """
        if not self._open:
            raise NoCardFault(f"the session with {self._reader!r} is closed", "connect again")
        result, response = scard.SCardTransmit(self._card, self._pci, list(command))
        if result == scard.SCARD_S_SUCCESS and response:
            return bytes(byte & 0xFF for byte in response)
        self._broken = True
        raise self._fault(result, command[:4].hex().upper())

    def begin_transaction(self) -> None:
        """Wait until no other program is in a transaction with this card, then keep them out."""
        result = scard.SCardBeginTransaction(self._card)
        if _name(result) in _NOT_SENT:
            raise NoCardFault(f"the card has left {self._reader!r}", "present the card again")
        _check(self._reader, result)

    def end_transaction(self) -> None:
        """Let others in; a card or daemon that has gone holds nobody up."""
        if self._open:
            scard.SCardEndTransaction(self._card, scard.SCARD_LEAVE_CARD)

    def disconnect(self) -> None:
        """Give the card back, reset, so that no selection or PIN is left for the next program."""
        if self._open:
            self._open = False
            if self._broken or scard.SCardDisconnect(self._card, scard.SCARD_RESET_CARD) != scard.SCARD_S_SUCCESS:
                scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)
            self._context.close()

    def _fault(self, result: int, command: str) -> DialogueFault:
        name = _name(result)
        if name in _NOT_SENT:
            return NoCardFault(f"the card has left {self._reader!r}", "present the card again")
        if name in _SERVICE:
            what = f"it went away during {command} ({_text(result)})"
            return ReaderFault(self._reader, what, _REMEDY.get(name, "plug it in, start the daemon"), in_command=True)
        what = "an empty answer" if result == scard.SCARD_S_SUCCESS else _text(result)
        return TornFault(f"the card left {self._reader!r} during {command} ({what})", "present the card again")


def _check(reader: str, result: int) -> None:
    if result != scard.SCARD_S_SUCCESS:
        name = _name(result) or hex(result & 0xFFFFFFFF)
        raise ReaderFault(reader, f"{_text(result)} ({name})", _REMEDY.get(name, "see the log of the PC/SC daemon"))


def _name(result: int) -> str:
    wanted = result & 0xFFFFFFFF
    return next(
        (
            name
            for name in dir(scard)
            if name.startswith(("SCARD_E_", "SCARD_W_", "SCARD_F_")) and getattr(scard, name) & 0xFFFFFFFF == wanted
        ),
        "",
    )


def _text(result: int) -> str:
    message: Callable[[int], str] = scard.SCardGetErrorMessage
    return message(result).rstrip(".")
