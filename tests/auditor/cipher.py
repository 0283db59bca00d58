"""Card numbers to card ids (rules §2) and the TAC of a row, with nothing but pycryptodome.

A TAC is a single-DES CBC-MAC under the xor of the halves of the card's key, zero IV, padded 80 00 …, four bytes.
The card's key comes from the root in two levels: by the eight issuer bytes, then by the last 16 digits as BCD.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from dataclasses import dataclass

from Crypto.Cipher import DES, DES3
from Crypto.Cipher._mode_ecb import EcbMode

from auditor.model import Row

MAX_DIGITS = 19

Wire = list[tuple[str, int]]
"""Columns a TAC covers, in order, with the bytes each takes on the wire."""

PURCHASE_WIRE: Wire = [
    ("amount", 4),
    ("txn_type", 1),
    ("terminal_id", 6),
    ("terminal_counter", 4),
    ("date4", 4),
    ("time3", 3),
]
LOAD_WIRE: Wire = [
    ("balance_after", 4),
    ("card_counter", 2),
    ("amount", 4),
    ("txn_type", 1),
    ("terminal_id", 6),
    ("date4", 4),
    ("time3", 3),
]


@dataclass(frozen=True)
class TacKey:
    """A root key the centre holds; days are inclusive."""

    issuer_id: int
    direction: str
    version: int
    index: int
    algorithm: int
    days: tuple[int, int]
    root: bytes
    two_level: bool = True

    @property
    def slot(self) -> tuple[int, str, int, int, int]:
        return (self.issuer_id, self.direction, self.version, self.index, self.algorithm)


def is_number(card_no: str) -> bool:
    return card_no.isascii() and card_no.isdigit() and len(card_no) <= MAX_DIGITS


@functools.cache
def triple_des(key: bytes) -> EcbMode:
    """Two-key 3DES block by block. Making it costs more than a block, and few keys serve all cards."""
    return DES3.new(key, DES3.MODE_ECB)


def diversify(key: bytes, factor: bytes) -> bytes:
    """3DES of the factor and of its complement."""
    complement = bytes(byte ^ 0xFF for byte in factor)
    return triple_des(key).encrypt(factor + complement)


def card_factor(card_no: str) -> bytes:
    return bytes.fromhex(card_no[-16:].rjust(16, "0"))


def mac_key(card_key: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(card_key[:8], card_key[8:], strict=True))


class CbcMac:
    """The MACs of one card's key.

    pycryptodome's CBC goes on where the last message ended, and making it anew costs more than a message. What the
    last block left behind is therefore taken out of the next message's first block: each starts from zero again.
    """

    def __init__(self, key: bytes) -> None:
        self._cbc = DES.new(key, DES.MODE_CBC, iv=bytes(8))
        self._left_behind = 0

    def of(self, message: bytes) -> int:
        padded = message + b"\x80"
        padded += bytes(-len(padded) % 8)
        first_block = self._left_behind << 8 * (len(padded) - 8)
        chained = (int.from_bytes(padded, "big") ^ first_block).to_bytes(len(padded), "big")
        self._left_behind = int.from_bytes(self._cbc.encrypt(chained)[-8:], "big")
        return self._left_behind >> 32


def cbc_mac(key: bytes, message: bytes) -> int:
    return CbcMac(key).of(message)


def wire_of(row: Row) -> Wire:
    return LOAD_WIRE if row.direction == "credit" else PURCHASE_WIRE


def lacks_input(row: Row) -> bool:
    """Whether a column that the TAC covers is missing."""
    return None in [row.value[name] for name, _ in wire_of(row)]


def wire_message(row: Row) -> bytes | None:
    """The bytes the row's TAC covers; None where a value does not fit its bytes, so that no card signed it."""
    try:
        return b"".join([row.value[name].to_bytes(width, "big") for name, width in wire_of(row)])
    except OverflowError:
        return None


class Cipher:
    """The keys of a centre; card ids and card keys are computed once per card."""

    def __init__(self, tac_keys: list[TacKey], card_id_keys: dict[int, bytes]) -> None:
        self._card_id_keys = card_id_keys
        self._keys: dict[tuple[int, str, int, int, int], list[tuple[TacKey, bytes]]] = {}
        for key in tac_keys:
            issuer_bytes = key.issuer_id.to_bytes(8, "big")
            master = diversify(key.root, issuer_bytes) if key.two_level else key.root
            self._keys.setdefault(key.slot, []).append((key, master))
        self.issuers_with_keys = {key.issuer_id for key in tac_keys}
        self._card_ids: dict[str, int] = {}
        self._macs: dict[tuple[bytes, str], CbcMac] = {}

    def card_id(self, card_no: str) -> int:
        if card_no not in self._card_ids:
            self._card_ids[card_no] = self._compute_card_id(card_no)
        return self._card_ids[card_no]

    def _compute_card_id(self, card_no: str) -> int:
        if is_number(card_no) and len(card_no) in self._card_id_keys:
            block = int(card_no).to_bytes(8, "big")
            encrypted = triple_des(self._card_id_keys[len(card_no)]).encrypt(block)
        else:
            encrypted = hmac.new(self._card_id_keys[0], card_no.encode(), hashlib.sha256).digest()[:8]
        return int.from_bytes(encrypted, "big")

    def verdict(self, row: Row) -> str:
        """The TAC verdict of a decoded row (rules §4)."""
        value = row.value
        if not row.has_purse:
            return "NOT_APPLICABLE"
        if value["tac"] is None or lacks_input(row) or not is_number(row.card_no):
            return "MISSING"
        master = self._master(row)
        if master is None:
            return "KEY_UNKNOWN"
        message = wire_message(row)
        if message is None or self._mac(master, row.card_no).of(message) != value["tac"]:
            return "FAILED"
        return "VERIFIED"

    def _master(self, row: Row) -> bytes | None:
        """The issuer-level key valid on the operating day."""
        value = row.value
        slot = (
            value["issuer_id"],
            row.direction,
            value["key_version"],
            value["key_index"],
            value["algorithm"],
        )
        for key, master in self._keys.get(slot, ()):
            if row.operating_day is not None and key.days[0] <= row.operating_day <= key.days[1]:
                return master
        return None

    def _mac(self, master: bytes, card_no: str) -> CbcMac:
        found = self._macs.get((master, card_no))
        if found is None:
            found = CbcMac(mac_key(diversify(master, card_factor(card_no))))
            self._macs[master, card_no] = found
        return found
