"""The published DES vectors, and their operations composed from three block primitives.

The compositions are written out here, apart from `card_io.mac`, so that a vector proves
the primitives of any implementation that is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

DES_CIPHER_VECTORS = 20


class BlockCipher(Protocol):
    """An implementation under test; blocks have 8 bytes."""

    def encrypt(self, key8: bytes, block: bytes) -> bytes: ...

    def decrypt(self, key8: bytes, block: bytes) -> bytes: ...

    def triple_encrypt(self, key16: bytes, block: bytes) -> bytes: ...


@dataclass(frozen=True)
class Vector:
    """One published value; `operation` is the file's own text."""

    name: str
    operation: str
    key: bytes
    data: bytes
    output: bytes


def load_des_vectors(shared_data: Path) -> list[Vector]:
    """Read the vectors that exercise DES; those of SM4 and the bare exclusive or are left out."""
    document: dict[str, Any] = json.loads((shared_data / "vectors" / "vectors.json").read_text(encoding="utf-8"))
    return [
        Vector(
            entry["id"],
            entry["op"],
            bytes.fromhex(entry["key"]),
            bytes.fromhex(entry["input"]),
            bytes.fromhex(entry["output"]),
        )
        for entry in document["vectors"]
        if "SM4" not in entry["op"] and not entry["op"].startswith("XOR")
    ]


def evaluate(vector: Vector, cipher: BlockCipher) -> bytes:
    """Compute the vector's output with `cipher`; ValueError for an operation not known here."""
    for prefix, compose in _COMPOSITIONS.items():
        if vector.operation.startswith(prefix):
            return compose(cipher, vector.key, vector.data)
    raise ValueError(f"{vector.name}: unknown operation {vector.operation!r}")


def _blocks(data: bytes) -> list[bytes]:
    return [data[i : i + 8] for i in range(0, len(data), 8)]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _pad1(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _pad2(data: bytes) -> bytes:
    return _pad1(data + b"\x80")


def _des_ecb(cipher: BlockCipher, key: bytes, data: bytes) -> bytes:
    return b"".join(cipher.encrypt(key, block) for block in _blocks(data))


def _triple_ecb(cipher: BlockCipher, key: bytes, data: bytes) -> bytes:
    return b"".join(cipher.triple_encrypt(key, block) for block in _blocks(data))


def _diversify(cipher: BlockCipher, key: bytes, data: bytes) -> bytes:
    return _triple_ecb(cipher, key, data + _xor(data, b"\xff" * 8))


def _cbc_mac(cipher: BlockCipher, key: bytes, padded: bytes) -> bytes:
    state = bytes(8)
    for block in _blocks(padded):
        state = cipher.encrypt(key[:8], _xor(state, block))
    return state


def _retail_mac(cipher: BlockCipher, key: bytes, padded: bytes) -> bytes:
    state = _cbc_mac(cipher, key, padded)
    return cipher.encrypt(key[:8], cipher.decrypt(key[8:], state))


_COMPOSITIONS: dict[str, Callable[[BlockCipher, bytes, bytes], bytes]] = {
    "DES-ECB": _des_ecb,
    "3DES-EDE2-ECB": _triple_ecb,
    "3DES(SK, ARQC xor": _triple_ecb,
    "DK = 3DES": _diversify,
    "DES-CBC-MAC pad 80": lambda cipher, key, data: _cbc_mac(cipher, key, _pad2(data))[:4],
    "ISO9797-1 alg1 pad1 DES": lambda cipher, key, data: _cbc_mac(cipher, key, _pad1(data)),
    "ISO9797-1 alg1 pad2 DES": lambda cipher, key, data: _cbc_mac(cipher, key, _pad2(data)),
    "ISO9797-1 alg3 pad1 DES": lambda cipher, key, data: _retail_mac(cipher, key, _pad1(data)),
    "ISO9797-1 alg3 pad2 DES": lambda cipher, key, data: _retail_mac(cipher, key, _pad2(data)),
    "ISO9797-1 alg3 DES pad2": lambda cipher, key, data: _retail_mac(cipher, key, _pad2(data)),
}
