"""Commands and responses of ISO 7816-4, and the channel that sends them to one card and keeps the dialogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from card_io.readers.exchange import Exchange, Step
from card_io.readers.faults import DialogueFault, ProtocolFault, ReaderFault, RefusedFault, TornFault
from card_io.readers.port import CardSession

OK: Final = 0x9000
_MORE_DATA: Final = 0x61
_WRONG_LENGTH: Final = 0x6C
_GET_RESPONSE_ROUNDS_MAX: Final = 64
"""64 · 256 bytes: no answer in this field comes near; a card that says 61xx for ever is broken."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU; `le` is the length expected (None: no data expected, 256: up to 256 bytes, sent as 00)."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None
    name: str = ""
    """What messages call the command; not sent, not compared."""

    def to_bytes(self) -> bytes:
        """Short form up to 255 bytes of data, else extended (ISO 7816-4, 5.1).

        Raises:
            ValueError: for data or `le` that no form holds.
        """
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        le = self.le
        if len(self.data) > 0xFFFF or (le is not None and not 1 <= le <= 0x10000):
            raise ValueError(f"{len(self.data)} bytes of data, {le} expected: no command holds that")
        if len(self.data) <= 0xFF and (le is None or le <= 0x100):
            body = bytes((len(self.data),)) + self.data if self.data else b""
            return header + body + (b"" if le is None else bytes((le & 0xFF,)))
        body = b"\x00" + len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        tail = b"" if le is None else (le & 0xFFFF).to_bytes(2, "big")
        return header + body + (b"\x00" + tail if not self.data else tail)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a command as a card does.

        Raises:
            ValueError: when the lengths inside do not fit (status 6700).
        """
        if len(raw) < 4:
            raise ValueError(f"{len(raw)} bytes are no command")
        header, rest = raw[:4], raw[4:]
        data, le = _body(rest)
        return cls(header[0], header[1], header[2], header[3], data, le)


def _body(rest: bytes) -> tuple[bytes, int | None]:
    if not rest:
        return b"", None
    if len(rest) == 1:
        return b"", rest[0] or 0x100
    if rest[0] == 0 and len(rest) >= 3:
        return _extended(rest)
    data, tail = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    if rest[0] == 0 or len(data) < rest[0] or len(tail) > 1:
        raise ValueError(f"length byte {rest[0]:02X} does not fit the {len(rest)} bytes of the body")
    return data, (tail[0] or 0x100) if tail else None


def _extended(rest: bytes) -> tuple[bytes, int | None]:
    size = int.from_bytes(rest[1:3], "big")
    if len(rest) == 3:
        return b"", size or 0x10000
    data, tail = rest[3 : 3 + size], rest[3 + size :]
    if size == 0 or len(data) < size or len(tail) not in (0, 2):
        raise ValueError(f"length {size} does not fit the {len(rest)} bytes of the body")
    return data, (int.from_bytes(tail, "big") or 0x10000) if tail else None


@dataclass(frozen=True, slots=True)
class Response:
    """Data and status word."""

    data: bytes
    status: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Split off the status word; ValueError for fewer than two bytes."""
        if len(raw) < 2:
            raise ValueError(f"{len(raw)} bytes are no response")
        return cls(raw[:-2], int.from_bytes(raw[-2:], "big"))

    def to_bytes(self) -> bytes:
        """Data, then the status word."""
        return self.data + self.status.to_bytes(2, "big")


class CardChannel:
    """Commands to one card over one session: follows 61xx and 6Cxx, keeps every step, hands faults the dialogue."""

    def __init__(self, session: CardSession) -> None:
        self.session = session
        self._steps: list[Step] = []

    @property
    def exchange(self) -> Exchange:
        """The dialogue so far."""
        return Exchange(tuple(self._steps))

    def send(self, command: Command) -> Response:
        """Send `command` until its answer is whole; any status word that is not about lengths comes back.

        Raises:
            ReaderFault, CardFault: see `CardSession.transmit`; `exchange` holds the steps so far.
            ProtocolFault: the card announces lengths without end.
        """
        response = self._step(command.to_bytes())
        if response.status >> 8 == _WRONG_LENGTH:
            again = Command(command.cla, command.ins, command.p1, command.p2, command.data, _length(response))
            response = self._step(again.to_bytes())
        data = response.data
        for _ in range(_GET_RESPONSE_ROUNDS_MAX):
            if response.status >> 8 != _MORE_DATA:
                return Response(data, response.status)
            response = self._step(Command(0x00, 0xC0, 0, 0, le=_length(response)).to_bytes())
            data += response.data
        raise self._with_exchange(ProtocolFault("the card announces more data without end", "take the card aside"))

    def ask(self, command: Command, length: int | None = None) -> bytes:
        """Send `command` and return its data; only 9000 will do, and only `length` bytes if given.

        Raises:
            RefusedFault: for any other status word.
            ProtocolFault: for another number of bytes, or as `send`.
        """
        response = self.send(command)
        label = command.name or f"command {command.cla:02X}{command.ins:02X}"
        if response.status != OK:
            raise self._with_exchange(RefusedFault(label, response.status))
        if length is not None and len(response.data) != length:
            what = f"{label}: {len(response.data)} bytes came back, {length} are due"
            raise self._with_exchange(ProtocolFault(what, "the card is of another kind; its issuer acts"))
        return response.data

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep other programs from the card inside the block."""
        with self.explained():
            self.session.begin_transaction()
        try:
            yield
        finally:
            self.session.end_transaction()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Give any dialogue fault that leaves the block the steps so far."""
        try:
            yield
        except DialogueFault as fault:
            self._with_exchange(fault)
            raise

    def _step(self, raw: bytes) -> Response:
        try:
            answer = self.session.transmit(raw)
        except DialogueFault as fault:
            if isinstance(fault, TornFault) or (isinstance(fault, ReaderFault) and fault.in_command):
                self._steps.append(Step(raw, None))
            self._with_exchange(fault)
            raise
        self._steps.append(Step(raw, answer))
        if len(answer) < 2:
            what = f"{len(answer)} bytes answer {raw[:4].hex().upper()}: no status word"
            raise self._with_exchange(ProtocolFault(what, "take the card aside"))
        return Response.parse(answer)

    def _with_exchange(self, fault: DialogueFault) -> DialogueFault:
        fault.exchange = self.exchange
        return fault


def _length(response: Response) -> int:
    return response.status & 0xFF or 0x100
