"""Dual control: a key as XOR components, each held by another person (ISO 11568, PCI PIN requirement 12).

All but one component are random and the last is the key XOR the others, so any set short of all of them says
nothing about the key. Each sheet carries its own check value, which finds a typing error at once, and the
check value of the whole key, which finds a sheet of another key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from card_io.keys.algorithm import KeyAlgorithm, check_value
from card_io.keys.errors import ComponentError

_FEWEST, _MOST = 2, 9
_SHEET = re.compile(
    r"(?P<number>\d) of (?P<count>\d) (?P<algorithm>[A-Z0-9]+) (?P<value>[0-9A-F ]+)"
    r" KCV (?P<kcv>[0-9A-F]+) KEY (?P<key_kcv>[0-9A-F]+)"
)


@dataclass(frozen=True, slots=True)
class Component:
    """One custodian's share: `number` (from 1) of `count`, with its own and the whole key's check value."""

    number: int
    count: int
    algorithm: KeyAlgorithm
    value: bytes = field(repr=False)
    kcv: str
    key_kcv: str

    def to_text(self) -> str:
        """Return the secret line for this custodian's sealed envelope; `from_text` reads it back."""
        digits = self.value.hex(" ", 2).upper()
        share = f"{self.number} of {self.count} {self.algorithm.name} {digits}"
        return f"{share} KCV {self.kcv} KEY {self.key_kcv}"

    @classmethod
    def from_text(cls, text: str) -> Component:
        """Read a line written by `to_text`; raises `ComponentError` when it is malformed or mistyped."""
        match = _SHEET.fullmatch(" ".join(text.upper().replace(" OF ", " of ").split()))
        try:
            if match is None:
                raise ValueError
            component = cls(
                number=int(match["number"]),
                count=int(match["count"]),
                algorithm=KeyAlgorithm[match["algorithm"]],
                value=bytes.fromhex(match["value"]),
                kcv=match["kcv"],
                key_kcv=match["key_kcv"],
            )
        except (ValueError, KeyError):
            raise ComponentError(
                "this is not a component line", "type the whole line from the component sheet"
            ) from None
        _check_component(component)
        return component


def split(algorithm: KeyAlgorithm, key: bytes, count: int) -> tuple[Component, ...]:
    """Return `key` as `count` (2 to 9) components that XOR to it.

    Raises `ValueError` for another count or for a key length that `algorithm` does not have.
    """
    if not _FEWEST <= count <= _MOST:
        raise ValueError(f"{count} components: choose {_FEWEST} to {_MOST}")
    key_kcv = check_value(algorithm, key)
    shares = [os.urandom(len(key)) for _ in range(count - 1)]
    shares.append(reduce(_xor, shares, key))
    return tuple(
        Component(number, count, algorithm, share, check_value(algorithm, share), key_kcv)
        for number, share in enumerate(shares, start=1)
    )


def join(components: Sequence[Component]) -> bytes:
    """Return the key of a full set of components, in any order.

    Raises `ComponentError` for a missing, repeated, foreign or mistyped component.
    """
    if not components:
        raise ComponentError("no component was given", "call every custodian")
    if len({(c.count, c.algorithm, c.key_kcv, len(c.value)) for c in components}) != 1:
        raise ComponentError("the components belong to different keys", "compare the KEY value on the sheets")
    count = components[0].count
    numbers = sorted(component.number for component in components)
    if numbers != list(range(1, count + 1)):
        raise ComponentError(f"components {numbers} of 1 to {count} were given", "give each component once")
    for component in components:
        _check_component(component)
    key = reduce(_xor, (component.value for component in components))
    if check_value(components[0].algorithm, key) != components[0].key_kcv:
        raise ComponentError(
            f"the joined key has not the check value {components[0].key_kcv}", "use sheets of one ceremony"
        )
    return key


def _check_component(component: Component) -> None:
    try:
        kcv = check_value(component.algorithm, component.value)
    except ValueError:
        kcv = ""
    if kcv != component.kcv:
        raise ComponentError(f"component {component.number} has not its check value {component.kcv}", "type it again")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
