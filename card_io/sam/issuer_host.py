"""The issuer's host on any `ModuleKeys`: loads, unloads, overdraft limits, maintenance, PIN."""

from __future__ import annotations

from typing import Final

from card_io import mac
from card_io.keys.entry import KeyKind
from card_io.records import TxnType
from card_io.sam.keys import ModuleKeys
from card_io.sam.port import CardReference, OnlineTerms, WrongMacFault

_KIND: Final = {
    TxnType.PURSE_LOAD: KeyKind.PURSE_LOAD,
    TxnType.UNLOAD: KeyKind.PURSE_UNLOAD,
    TxnType.OVERDRAFT_LIMIT: KeyKind.PURSE_OVERDRAFT,
}


class ModuleHost:
    """Implements `card_io.sam.port.IssuerHost`."""

    def __init__(self, keys: ModuleKeys) -> None:
        self._keys = keys

    def authorise_online(self, terms: OnlineTerms, mac1: bytes) -> bytes:
        """Check MAC1, return MAC2 (§4.3; limit change by JR/T 0025.1)."""
        if self._session_mac(terms, _mac1_data(terms)) != mac1:
            raise WrongMacFault("MAC1 of the card is wrong", "keep the card aside; nothing was authorised")
        return self._session_mac(terms, _mac2_data(terms))

    def confirm_unload(self, terms: OnlineTerms, new_balance: int, mac3: bytes) -> None:
        """Check MAC3, which proves that the card gave the money up."""
        terminal = int.from_bytes(terms.terminal, "big")
        data = mac.load_tac_data(
            new_balance, terms.online_counter, terms.amount, terms.txn_type, terminal, terms.date4, terms.time3
        )
        if self._session_mac(terms, data) != mac3:
            raise WrongMacFault("MAC3 of the card is wrong", "pay nothing out; keep the card aside")

    def maintenance_mac(self, card: CardReference, date4: int, challenge: bytes, data: bytes) -> bytes:
        """MAC over header and data of a maintenance command."""
        return self._keys.maintenance_mac(card, date4, challenge, data)

    def pin_mac(self, card: CardReference, date4: int, pin: bytes) -> bytes:
        """MAC over a new PIN."""
        return self._keys.pin_mac(card, date4, pin)

    def _session_mac(self, terms: OnlineTerms, data: bytes) -> bytes:
        seed = mac.load_session_data(terms.card_random, terms.online_counter)
        return self._keys.session_mac(_KIND[terms.txn_type], terms.card, terms.date4, seed, data)


def _mac1_data(terms: OnlineTerms) -> bytes:
    if terms.txn_type is TxnType.OVERDRAFT_LIMIT:
        limit = terms.old_limit.to_bytes(3, "big")
        return mac.amount_data(terms.balance) + limit + bytes((terms.txn_type,)) + terms.terminal
    return mac.load_mac1_data(terms.balance, terms.amount, terms.txn_type, int.from_bytes(terms.terminal, "big"))


def _mac2_data(terms: OnlineTerms) -> bytes:
    terminal = int.from_bytes(terms.terminal, "big")
    data = mac.purchase_mac1_data(terms.amount, terms.txn_type, terminal, terms.date4, terms.time3)
    return data[1:] if terms.txn_type is TxnType.OVERDRAFT_LIMIT else data
