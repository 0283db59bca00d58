"""A recorded dialogue: what was sent to a card and what came back, byte for byte.

Canonical bytes, all numbers big endian: the letters ``CCX1``, then per step the command (length u16, bytes) and the
response (length u16, bytes; length FFFF when none came back). Their SHA-256 names the dialogue wherever a record,
a capture journal or an explanation speaks of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = b"CCX1"
_NO_RESPONSE: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Step:
    """One command and its response with the status word; ``None`` when no whole response came back."""

    command: bytes
    response: bytes | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Steps in the order in which they were sent."""

    steps: tuple[Step, ...] = ()

    def to_bytes(self) -> bytes:
        """The canonical bytes; `from_bytes` reads them back.

        Raises:
            ValueError: for a command or response too long for any card (65,535 bytes and more).
        """
        parts = [_MAGIC]
        for step in self.steps:
            parts += [_sized(step.command), _sized(step.response)]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Exchange:
        """Read canonical bytes.

        Raises:
            ValueError: when they break off or are none.
        """
        if raw[:4] != _MAGIC:
            raise ValueError("these bytes are no recorded dialogue: they do not begin with CCX1")
        position, halves = 4, list[bytes | None]()
        while position < len(raw):
            size = int.from_bytes(raw[position : position + 2], "big")
            end = position + 2 + (0 if size == _NO_RESPONSE else size)
            if position + 2 > len(raw) or end > len(raw):
                raise ValueError(f"the recorded dialogue breaks off at byte {position}")
            halves.append(None if size == _NO_RESPONSE else raw[position + 2 : end])
            position = end
        commands, responses = halves[::2], halves[1::2]
        if len(commands) != len(responses) or None in commands:
            raise ValueError("the recorded dialogue has a command without its response field")
        return cls(tuple(Step(c, r) for c, r in zip(commands, responses, strict=True) if c is not None))

    @property
    def sha256(self) -> str:
        """Lower-case hexadecimal SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def __str__(self) -> str:
        return "\n".join(f"> {_shown(step.command)}\n< {_shown(step.response)}" for step in self.steps)


def _shown(part: bytes | None) -> str:
    return "(none)" if part is None else part.hex().upper()


def _sized(part: bytes | None) -> bytes:
    if part is None:
        return _NO_RESPONSE.to_bytes(2, "big")
    if len(part) >= _NO_RESPONSE:
        raise ValueError(f"{len(part)} bytes are no command or response of a card")
    return len(part).to_bytes(2, "big") + part
