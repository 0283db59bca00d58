"""A virtual card in a vpcd reader: the card is a TCP client of the reader, connecting is inserting.

Messages are a big-endian length of two bytes and a payload. A payload of one byte is a control (0 power off, 1 power
on, 2 reset, 4 send the answer to reset); anything longer is a command APDU and gets a response APDU.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from card_io.virtual_card.card import VirtualCard

_POWER_OFF, _POWER_ON, _RESET, _SEND_ATR = 0, 1, 2, 4
_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET: the namespace is a network namespace."""

_CONNECT_SECONDS: Final = 5.0


class PulledAt(StrEnum):
    """When the card is pulled out, seen from one APDU."""

    BEFORE = "before"
    """It got the command and did nothing."""
    AFTER = "after"
    """It did everything and its response did not leave."""


class InsertedCard:
    """A card in the slot of a vpcd reader, served on a thread of its own until it is removed."""

    def __init__(self, card: VirtualCard, port: int, *, daemon: int | None = None) -> None:
        """Insert `card`.

        Args:
            port: of the slot (see `scripts/virtual-readers`).
            daemon: process number of a pcscd in a network namespace of its own; None when it is in ours.

        Raises:
            OSError: when nobody listens there.
        """
        self.card = card
        self._pull: tuple[int, PulledAt] | None = None
        self._fault: BaseException | None = None
        card.reset()
        self._socket = _connect(port, daemon)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._serve, name=f"card in slot {port}", daemon=True)
        self._thread.start()

    def pull_at(self, apdu: int, when: PulledAt) -> None:
        """Leave during the APDU of this number, 0 being the next."""
        self._pull = apdu, when

    def remove(self) -> None:
        """Pull the card out; raises what broke the serving thread, if anything did."""
        self._close()
        self._thread.join()
        self.card.reset()
        if self._fault is not None:
            raise self._fault

    @property
    def inserted(self) -> bool:
        """Whether it is still in the slot."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait until the card has left."""
        self._thread.join()

    def _serve(self) -> None:
        try:
            while (message := self._receive()) is not None:
                answer = self._control(message[0]) if len(message) == 1 else self._apdu(message)
                if answer is not None:
                    self._socket.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            return  # pulled out, or the daemon has gone
        except BaseException as fault:
            self._fault = fault
        finally:
            self._close()

    def _control(self, code: int) -> bytes | None:
        if code in (_POWER_OFF, _POWER_ON, _RESET):
            self.card.reset()
            return None
        return self.card.atr if code == _SEND_ATR else None

    def _apdu(self, command: bytes) -> bytes | None:
        if self._pull is None:
            return self.card.transmit(command)
        left, when = self._pull
        if left > 0:
            self._pull = left - 1, when
            return self.card.transmit(command)
        self._pull = None
        if when is PulledAt.AFTER:
            self.card.transmit(command)
        self.card.reset()
        self._close()
        return None

    def _receive(self) -> bytes | None:
        head = self._exactly(2)
        return None if head is None else self._exactly(int.from_bytes(head, "big"))

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            # Without it each message waits 40 ms: vpcd leaves Nagle's algorithm on, and the kernel delays our
            # acknowledgement. The kernel clears the option by itself, so it is set before every receive.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            piece = self._socket.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data

    def _close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _connect(port: int, daemon: int | None) -> socket.socket:
    """Connect to the slot. A socket belongs to the network namespace of the thread that makes it, for ever."""
    if daemon is None or _same_namespace(daemon):
        return _connected(port)
    made: list[socket.socket | OSError] = []
    thread = threading.Thread(target=_connect_inside, args=(port, daemon, made))
    thread.start()
    thread.join()
    [result] = made
    if isinstance(result, OSError):
        raise result
    return result


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
    made.settimeout(None)
    return made


def _same_namespace(daemon: int) -> bool:
    return Path(f"/proc/{daemon}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()


def _connect_inside(port: int, daemon: int, made: list[socket.socket | OSError]) -> None:
    """Move this thread, which ends afterwards, into the daemon's namespace and connect there."""
    try:
        descriptor = os.open(f"/proc/{daemon}/ns/net", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "cannot enter the network namespace of pcscd")
        finally:
            os.close(descriptor)
        made.append(_connected(port))
    except OSError as error:
        made.append(error)
