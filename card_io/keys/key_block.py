"""TR-31 / ANSI X9.143 key blocks, version D (AES key derivation binding method).

A key block carries one key between two parties who share a key block protection key (KBPK, AES). Its clear
header says what the key may be used for; the MAC covers header and key, so neither can be changed.

    header  16 ASCII characters and optional blocks, padded to a multiple of 16
    key     upper-case hex of AES-CBC(KBEK, IV = MAC) over bit length u16, key, random padding
    MAC     upper-case hex of AES-CMAC(KBAK) over header and the clear key field, 16 bytes
"""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from card_io.keys.errors import KeyBlockError

_BLOCK = 16
_FIXED_HEADER = 16
_MAC_HEX = 2 * _BLOCK
_LONGEST_BLOCK = 9999

# Usage -> permitted algorithms and modes of use (X9.143 tables 2 to 4), for the keys a card centre exchanges.
# Algorithm "4" is SM4: X9.143 leaves digits to the parties, so both sides must have agreed on it.
# Mode "N" (no restriction) is left out on purpose: a key without restriction cannot be checked for use.
_USAGES = {
    "D0": (frozenset("AT4"), frozenset("BDE")),  # data encryption
    "E0": (frozenset("AT4"), frozenset("X")),  # issuer master key: application cryptograms
    "E1": (frozenset("AT4"), frozenset("X")),  # issuer master key: secure messaging, confidentiality
    "E2": (frozenset("AT4"), frozenset("X")),  # issuer master key: secure messaging, integrity
    "E6": (frozenset("AT4"), frozenset("X")),  # issuer master key: other; TAC masters travel as this
    "K0": (frozenset("AT4"), frozenset("BDE")),  # key encryption
    "K1": (frozenset("A"), frozenset("BDE")),  # key block protection
    "M3": (frozenset("T"), frozenset("CGV")),  # ISO 9797-1 MAC algorithm 3
    "M6": (frozenset("AT"), frozenset("CGV")),  # CMAC
}
_KEY_LENGTHS = {"T": (16, 24), "A": (16, 24, 32), "4": (16,)}
# A mode of use permits itself and, for the two-way modes, each single direction.
_PERMITS = {"B": frozenset("BDE"), "C": frozenset("CGV")}
# Derivation indicator of KBEK and KBAK by KBPK length: algorithm, key bits (X9.143 table "CMAC input data").
_DERIVED = {16: (2, 128), 24: (3, 192), 32: (4, 256)}

# Id and length, in the extended form or the short one.
_OPTIONAL_BLOCK = re.compile(r"([0-9A-Z]{2})(?:0002([0-9A-F]{4})|([0-9A-F]{2}))")

_CHECK_TRANSFER = "ask the sender for the key block again and compare the KBPK's check value with them"
_CHECK_AGREEMENT = "compare it with the key exchange agreement of the two sides"


@dataclass(frozen=True, slots=True)
class KeyBlockHeader:
    """What a key may be used for: the TR-31 header fields, checked when the header is made.

    `usage` two characters, `algorithm` T, A or 4 (SM4), `mode` of use one character, `exportability` E
    (under a key block key), N (never) or S (under others too), `key_version` two characters, `blocks` pairs
    of a two-character id and printable ASCII data, without the padding block. Raises `KeyBlockError`.
    """

    usage: str
    algorithm: str
    mode: str
    exportability: str = "E"
    key_version: str = "00"
    blocks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse combinations that X9.143 does not define or that this centre does not exchange."""
        permitted = _USAGES.get(self.usage)
        if permitted is None:
            raise _malformed(f"key usage {self.usage!r} is not one this centre exchanges")
        algorithm_choices, mode_choices = permitted
        if self.algorithm not in algorithm_choices:
            raise _malformed(f"algorithm {self.algorithm!r} does not go with usage {self.usage}")
        if self.mode not in mode_choices:
            raise _malformed(f"mode of use {self.mode!r} does not go with usage {self.usage}")
        if self.exportability not in ("E", "N", "S"):
            raise _malformed(f"exportability {self.exportability!r} is not E, N or S")
        if not re.fullmatch(r"[0-9A-Za-z]{2}", self.key_version):
            raise _malformed(f"key version {self.key_version!r} is not two letters or digits")
        for name, data in self.blocks:
            if not re.fullmatch(r"[0-9A-Z]{2}", name) or name == "PB" or not re.fullmatch(r"[ -~]*", data):
                raise _malformed(f"optional block {name!r} is malformed")

    def permits(self, mode: str) -> bool:
        """Say whether a key with this header may be used in `mode`."""
        return mode == self.mode or mode in _PERMITS.get(self.mode, ())


@dataclass(frozen=True, slots=True)
class UnwrappedKey:
    """A key that came out of an authentic key block, with the header that was bound to it."""

    header: KeyBlockHeader
    key: bytes = field(repr=False)


def wrap_key_block(header: KeyBlockHeader, key: bytes, kbpk: bytes) -> str:
    """Return `key` as a version D key block under the 16-, 24- or 32-byte AES `kbpk`.

    The padding hides the key's length up to the longest of its algorithm. Raises `KeyBlockError` for a key
    length the algorithm does not have or a KBPK weaker than the key.
    """
    lengths = _KEY_LENGTHS[header.algorithm]
    if len(key) not in lengths:
        raise _malformed(f"algorithm {header.algorithm} has no key of {len(key)} bytes")
    encryption_key, mac_key = _derive(kbpk)
    if header.algorithm == "A" and len(kbpk) < len(key):
        raise KeyBlockError("the KBPK is weaker than the key", "use a KBPK at least as long as the key")
    field_bytes = _round_up(2 + max(lengths))
    clear = (8 * len(key)).to_bytes(2, "big") + key
    clear += os.urandom(field_bytes - len(clear))
    text = _format_header(header, key_hex=2 * field_bytes)
    tag = _cmac(mac_key, text.encode("ascii") + clear)
    encryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(tag)).encryptor()
    return text + (encryptor.update(clear) + encryptor.finalize()).hex().upper() + tag.hex().upper()


def unwrap_key_block(block: str, kbpk: bytes, *, usage: str, mode: str) -> UnwrappedKey:
    """Return the key in `block` if it is authentic under `kbpk` and meant for `usage` in `mode`.

    Raises `KeyBlockError` for a malformed, forged or altered block, another KBPK, or a key for other use.
    """
    header_text, encrypted, tag = _split(block)
    encryption_key, mac_key = _derive(kbpk)
    decryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(tag)).decryptor()
    clear = decryptor.update(encrypted) + decryptor.finalize()
    if not hmac.compare_digest(tag, _cmac(mac_key, header_text.encode("ascii") + clear)):
        raise KeyBlockError("the key block is not authentic under this KBPK", _CHECK_TRANSFER)
    header = _parse_header(header_text)
    key_bits = int.from_bytes(clear[:2], "big")
    key = clear[2 : 2 + key_bits // 8]
    if key_bits != 8 * len(key) or len(key) not in _KEY_LENGTHS[header.algorithm]:
        raise _malformed(f"algorithm {header.algorithm} has no key of {key_bits} bits")
    if header.usage != usage or not header.permits(mode):
        raise KeyBlockError(
            f"the key is for usage {header.usage} mode {header.mode}, not for usage {usage} mode {mode}",
            _CHECK_AGREEMENT,
        )
    return UnwrappedKey(header, key)


def _format_header(header: KeyBlockHeader, key_hex: int) -> str:
    blocks = "".join(name + _format_length(len(data)) + data for name, data in header.blocks)
    count = len(header.blocks)
    if len(blocks) % _BLOCK:
        padding = "0" * (-(len(blocks) + 4) % _BLOCK)
        blocks += "PB" + _format_length(len(padding)) + padding
        count += 1
    length = _FIXED_HEADER + len(blocks) + key_hex + _MAC_HEX
    if count > 99 or length > _LONGEST_BLOCK:
        raise _malformed(f"{count} optional blocks and {length} characters are too many for a key block")
    fixed = f"D{length:04d}{header.usage}{header.algorithm}{header.mode}{header.key_version}"
    return f"{fixed}{header.exportability}{count:02d}00{blocks}"


def _format_length(data_length: int) -> str:
    """Two hex digits counting id, length and data, or the extended form "00", "02", four hex digits."""
    if data_length + 4 <= 0xFF:
        return f"{data_length + 4:02X}"
    return f"0002{data_length + 10:04X}"


def _split(block: str) -> tuple[str, bytes, bytes]:
    """Return header text, encrypted key field and MAC of a version D block of the stated length."""
    if not re.fullmatch(r"D[0-9]{4}[0-9A-Za-z]{7}[0-9]{2}00[ -~]*", block):
        raise _malformed("this is not a version D key block")
    if int(block[1:5]) != len(block):
        raise _malformed(f"the key block says {int(block[1:5])} characters and has {len(block)}")
    header_length = _FIXED_HEADER + sum(size for _, _, size in _optional_blocks(block, int(block[12:14])))
    secret = block[header_length:]
    if header_length % _BLOCK or not re.fullmatch(r"(?:[0-9A-F]{32}){2,}", secret):
        raise _malformed("the key field is not whole AES blocks in hexadecimal")
    raw = bytes.fromhex(secret)
    return block[:header_length], raw[:-_BLOCK], raw[-_BLOCK:]


def _parse_header(text: str) -> KeyBlockHeader:
    blocks = _optional_blocks(text, int(text[12:14]))
    return KeyBlockHeader(
        usage=text[5:7],
        algorithm=text[7],
        mode=text[8],
        key_version=text[9:11],
        exportability=text[11],
        blocks=tuple((name, data) for name, data, _ in blocks if name != "PB"),
    )


def _optional_blocks(text: str, count: int) -> list[tuple[str, str, int]]:
    """Return id, data and total size of each of the `count` optional blocks after the fixed header."""
    found: list[tuple[str, str, int]] = []
    position = _FIXED_HEADER
    for _ in range(count):
        match = _OPTIONAL_BLOCK.match(text, position)
        if match is None:
            raise _malformed(f"optional block {len(found) + 1} is malformed")
        name, extended, short = match.groups()
        size = int(extended or short, 16)
        if size < match.end() - position or position + size > len(text):
            raise _malformed(f"optional block {name} has a wrong length")
        found.append((name, text[match.end() : position + size], size))
        position += size
    return found


def _derive(kbpk: bytes) -> tuple[bytes, bytes]:
    """Return KBEK (usage 0000) and KBAK (usage 0001): CMAC in counter mode under the KBPK."""
    if len(kbpk) not in _DERIVED:
        raise KeyBlockError(f"an AES KBPK does not have {len(kbpk)} bytes", "use 16, 24 or 32 bytes")
    algorithm, bits = _DERIVED[len(kbpk)]
    derived = []
    for usage in (0, 1):
        context = usage.to_bytes(2, "big") + b"\0" + algorithm.to_bytes(2, "big") + bits.to_bytes(2, "big")
        stream = _cmac(kbpk, b"\1" + context) + _cmac(kbpk, b"\2" + context)
        derived.append(stream[: len(kbpk)])
    return derived[0], derived[1]


def _cmac(key: bytes, message: bytes) -> bytes:
    cmac = CMAC(algorithms.AES(key))
    cmac.update(message)
    return cmac.finalize()


def _round_up(length: int) -> int:
    return length + -length % _BLOCK


def _malformed(what: str) -> KeyBlockError:
    return KeyBlockError(what, _CHECK_AGREEMENT)
