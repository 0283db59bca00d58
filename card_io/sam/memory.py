"""What a terminal's SAM remembers without power: its transaction number and its failed MAC2 checks.

Two slots of one file are written in turn, each with a generation and a checksum, and synced before the number is
used: after a crash at any moment the newer sound slot counts, so no number is ever given out twice.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from card_io.sam.port import SamFault

_SLOT: Final = struct.Struct(">4s6sQIB")
_CHECK: Final = struct.Struct(">I")
_SLOT_BYTES: Final = 64
_MAGIC: Final = b"SAM1"


@dataclass(frozen=True, slots=True)
class SamCounts:
    """Next transaction number, and MAC2 failures in a row."""

    next_counter: int = 1
    failures: int = 0


class SamMemory:
    """The counts of one SAM in a file; without a path they live only as long as the process (tests, training)."""

    def __init__(self, terminal: bytes, path: Path | None = None, *, first_counter: int = 1) -> None:
        """Open or create the file; `SamFault` when it is damaged or another SAM's."""
        if len(terminal) != 6:
            raise ValueError(f"a terminal number has 6 bytes, not {len(terminal)}")
        self.terminal = terminal
        self._path = path
        self._generation = 0
        self.counts = SamCounts(first_counter)
        if path is None:
            return
        if path.exists():
            self._load(path)
        else:
            self.save(self.counts)

    def save(self, counts: SamCounts) -> None:
        """Make `counts` durable; `SamFault` when the file cannot be written: then they do not count."""
        if self._path is not None:
            generation = self._generation + 1
            body = _SLOT.pack(_MAGIC, self.terminal, generation, counts.next_counter, counts.failures)
            slot = (body + _CHECK.pack(zlib.crc32(body))).ljust(_SLOT_BYTES, b"\x00")
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    os.pwrite(descriptor, slot, (generation % 2) * _SLOT_BYTES)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise SamFault(
                    f"{self._path}: {error.strerror}", "free space or mend the disk, then try again"
                ) from None
            self._generation = generation
        self.counts = counts

    def _load(self, path: Path) -> None:
        raw = path.read_bytes()
        slots = [slot for start in (0, _SLOT_BYTES) if (slot := _read(raw[start : start + _SLOT_BYTES]))]
        if not slots:
            raise SamFault(f"{path} is no memory of a SAM, or damaged", "restore it; never begin the numbers anew")
        terminal, self._generation, counts = max(slots, key=lambda slot: slot[1])
        if terminal != self.terminal:
            raise SamFault(f"{path} belongs to SAM {terminal.hex().upper()}", "give this SAM a file of its own")
        self.counts = counts


def _read(slot: bytes) -> tuple[bytes, int, SamCounts] | None:
    body, check = slot[: _SLOT.size], slot[_SLOT.size : _SLOT.size + _CHECK.size]
    if len(check) < _CHECK.size or _CHECK.unpack(check)[0] != zlib.crc32(body) or body[:4] != _MAGIC:
        return None
    _, terminal, generation, counter, failures = _SLOT.unpack(body)
    return terminal, generation, SamCounts(counter, failures)
