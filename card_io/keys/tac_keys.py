"""TAC master keys as columns, the form in which the batch engine takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from card_io import mac
from card_io.keys.algorithm import KeyAlgorithm, sm4_encrypt
from card_io.keys.entry import KeyKind, KeyScheme, StoredKey

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class TacKeyTable:
    """Issuer-level TAC masters, one row per key, ordered by all columns before `master` from left to right.

    k rows; validity is inclusive, in days since 1970-01-01. `master` is secret and kept out of `repr`.
    """

    issuer_id: NDArray[np.uint64]  # [k], big-endian integer of the eight issuer bytes
    key_version: NDArray[np.uint8]  # [k]
    key_index: NDArray[np.uint8]  # [k]
    algorithm: NDArray[np.uint8]  # [k], 0 3DES, 4 SM4
    is_load: NDArray[np.bool_]  # [k], load TAC (DLK) rather than purchase TAC (DTK)
    valid_from: NDArray[np.int32]  # [k]
    valid_to: NDArray[np.int32]  # [k]
    master: NDArray[np.uint8] = field(repr=False)  # [k, 16], to be diversified by the card factor only

    def __len__(self) -> int:
        return len(self.issuer_id)


def issuer_master(key: StoredKey) -> bytes:
    """Return the 16-byte master that the card factor diversifies.

    For a two-level scheme this runs level one with the eight issuer bytes X as factor
    (`reference/card-standards.md` §4.1): 3DES of X and of its complement, or, under SM4, one block X ‖ ~X.
    """
    if key.attributes.scheme is KeyScheme.ONE_LEVEL:
        return key.secret
    factor = bytes.fromhex(key.attributes.issuer_id)
    if key.attributes.algorithm is KeyAlgorithm.SM4:
        return sm4_encrypt(key.secret, factor + bytes(byte ^ 0xFF for byte in factor))
    return mac.diversify_key(key.secret, factor)


def build_tac_key_table(keys: Iterable[StoredKey]) -> TacKeyTable:
    """Return the table of the given TAC keys (purchase and load), in a fixed order; it may be empty."""
    rows = sorted(
        (
            int(a.issuer_id, 16),
            a.key_version,
            a.key_index,
            a.algorithm,
            a.kind is KeyKind.TAC_LOAD,
            (a.valid_from - _EPOCH).days,
            (a.valid_to - _EPOCH).days,
            issuer_master(key),
        )
        for key in keys
        for a in (key.attributes,)
    )
    columns = list(zip(*rows, strict=True)) or [()] * 8
    masters = np.frombuffer(b"".join(columns[7]), dtype=np.uint8).reshape(-1, 16).copy()
    return TacKeyTable(
        issuer_id=np.array(columns[0], dtype=np.uint64),
        key_version=np.array(columns[1], dtype=np.uint8),
        key_index=np.array(columns[2], dtype=np.uint8),
        algorithm=np.array(columns[3], dtype=np.uint8),
        is_load=np.array(columns[4], dtype=np.bool_),
        valid_from=np.array(columns[5], dtype=np.int32),
        valid_to=np.array(columns[6], dtype=np.int32),
        master=masters,
    )
