"""A make-believe issuer with random keys: cards, SAM and host that fit together, for tests, demo and training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from card_io.keys.algorithm import KeyAlgorithm
from card_io.keys.entry import ISSUER_KINDS, KeyKind, KeyScheme
from card_io.keys.keystore import DEFAULT_SCRYPT_N, KeyStore
from card_io.layouts.commands import PurseLimits
from card_io.sam.issuer_host import ModuleHost
from card_io.sam.keys import StoredKeys
from card_io.sam.memory import SamMemory
from card_io.sam.terminal_sam import TerminalSam
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.personalise import ORDINARY_LIMITS, card_keys, personalise

TRAINING_ISSUER: Final = "01012900FFFFFFFF"
_KEYS_FROM: Final = date(2020, 1, 1)
_CARDS_FROM: Final = date(2026, 1, 1)


def add_masters(
    store: KeyStore,
    issuer_id: str,
    *,
    algorithm: KeyAlgorithm = KeyAlgorithm.TDES,
    version: int = 1,
    index: int = 1,
    secrets: Mapping[KeyKind, bytes] | None = None,
) -> None:
    """Add a master of every card key to `store` (random, or as given); saved by the caller."""
    for kind in ISSUER_KINDS:
        store.add(
            kind,
            (secrets or {}).get(kind) or os.urandom(16),
            algorithm=algorithm,
            valid_from=_KEYS_FROM,
            issuer_id=issuer_id,
            key_version=version,
            key_index=index,
            scheme=KeyScheme.TWO_LEVEL,
        )


class TrainingIssuer:
    """An issuer whose masters lie in `store`; everything it makes works with everything else it makes."""

    def __init__(self, store: KeyStore, issuer_id: str = TRAINING_ISSUER) -> None:
        self.store = store
        self.issuer_id = issuer_id

    @classmethod
    def create(
        cls,
        path: Path,
        passphrase: str,
        *,
        issuer_id: str = TRAINING_ISSUER,
        algorithm: KeyAlgorithm = KeyAlgorithm.TDES,
        scrypt_n: int = DEFAULT_SCRYPT_N,
    ) -> TrainingIssuer:
        """A new key store at `path` with random masters. Raises `KeyStoreError` when the file is there already."""
        store = KeyStore.create(path, passphrase, scrypt_n=scrypt_n)
        add_masters(store, issuer_id, algorithm=algorithm)
        store.save()
        return cls(store, issuer_id)

    def card(self, number: int, *, limits: PurseLimits = ORDINARY_LIMITS, pin: bytes = b"") -> VirtualCard:
        """A new card with the 19-digit card number 310 … `number`."""
        serial = f"0310{number:016d}"
        keys = card_keys(self.store, self.issuer_id, serial, _CARDS_FROM)
        return VirtualCard(personalise(keys, serial=serial, issuer_id=self.issuer_id, limits=limits, pin=pin))

    def sam(self, terminal: str, memory: Path | None = None) -> TerminalSam:
        """A terminal's SAM with the number `terminal` (12 hexadecimal digits)."""
        return TerminalSam(StoredKeys(self.store), SamMemory(bytes.fromhex(terminal), memory))

    def host(self) -> ModuleHost:
        """The issuer's host."""
        return ModuleHost(StoredKeys(self.store))
