"""Where a security module's keys are: the two operations that all its MACs are made of."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from card_io.keys.algorithm import KeyAlgorithm
from card_io.keys.entry import KeyKind
from card_io.keys.errors import KeyStoreError
from card_io.keys.keystore import KeyStore
from card_io.keys.tac_keys import issuer_master
from card_io.purse.algorithm import CIPHERS
from card_io.records import Algorithm
from card_io.sam.port import CardReference, SamFault


class ModuleKeys(Protocol):
    """Diversify a master for a card and use the result once, without letting it out."""

    def session_mac(self, kind: KeyKind, card: CardReference, date4: int, seed: bytes, data: bytes) -> bytes:
        """MAC of `data`, 4 bytes, under the session key that the card key makes of the 8 bytes `seed`."""
        ...

    def maintenance_mac(self, card: CardReference, date4: int, challenge: bytes, data: bytes) -> bytes:
        """MAC of secure messaging, 4 bytes."""
        ...

    def pin_mac(self, card: CardReference, date4: int, pin: bytes) -> bytes:
        """MAC of RELOAD PIN, 4 bytes, under the exclusive or of the PIN key's halves."""
        ...

    def close(self) -> None:
        """Let the module go."""
        ...


class StoredKeys:
    """Keys from the key store, used in this process."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    def session_mac(self, kind: KeyKind, card: CardReference, date4: int, seed: bytes, data: bytes) -> bytes:
        """See `ModuleKeys`."""
        cipher = CIPHERS[Algorithm(card.algorithm)]
        return cipher.session_mac(cipher.session_key(self._card_key(kind, card, date4), seed), data)

    def maintenance_mac(self, card: CardReference, date4: int, challenge: bytes, data: bytes) -> bytes:
        """See `ModuleKeys`."""
        key = self._card_key(KeyKind.PURSE_MAINTENANCE, card, date4)
        return CIPHERS[Algorithm(card.algorithm)].maintenance_mac(key, challenge, data)

    def pin_mac(self, card: CardReference, date4: int, pin: bytes) -> bytes:
        """See `ModuleKeys`."""
        return CIPHERS[Algorithm(card.algorithm)].tac(self._card_key(KeyKind.PURSE_PIN, card, date4), pin)

    def close(self) -> None:
        """Nothing is held open."""

    def _card_key(self, kind: KeyKind, card: CardReference, date4: int) -> bytes:
        try:
            key = self._store.find(
                kind,
                card.issuer_id.hex().upper(),
                card.key_version,
                card.key_index,
                on_date=day_of(date4),
                algorithm=KeyAlgorithm(card.algorithm),
            )
        except KeyStoreError as error:
            raise SamFault(error.what, error.remedy) from None
        return CIPHERS[Algorithm(card.algorithm)].diversify(issuer_master(key), card.factor)


def day_of(date4: int) -> date:
    """The day of a BCD date; `SamFault` when there is no such day."""
    try:
        return date.fromisoformat(f"{date4:08X}")
    except ValueError:
        raise SamFault(f"date {date4:08X} does not exist", "set the terminal's clock") from None
