"""What a dialogue asks of a security module, and how one refuses.

Two modules: the terminal's SAM holds the purchase master and a counter of its own (`Sam`); the issuer's host holds
the masters of loads, limits and maintenance (`IssuerHost`). Neither gives a key away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from card_io.readers.faults import DialogueFault
from card_io.records import TxnType


@dataclass(frozen=True, slots=True)
class CardReference:
    """Which card key is meant.

    Attributes:
        issuer_id: eight issuer bytes of file 15.
        factor: last eight bytes of the application serial.
        key_version, key_index, algorithm: as the card's INITIALIZE answer and the terminal's choice say.
    """

    issuer_id: bytes
    factor: bytes
    key_version: int
    key_index: int
    algorithm: int


@dataclass(frozen=True, slots=True)
class PurchaseTerms:
    """A purchase that the card has initialised; `date4` and `time3` BCD as integers, amount in fen."""

    card: CardReference
    card_random: bytes
    offline_counter: int
    amount: int
    txn_type: TxnType
    date4: int
    time3: int


@dataclass(frozen=True, slots=True)
class PurchaseAuthorisation:
    """The SAM's side of a purchase: its transaction number and MAC1."""

    terminal_counter: int
    mac1: bytes


@dataclass(frozen=True, slots=True)
class OnlineTerms:
    """A load, unload or limit change that the card has initialised.

    Attributes:
        balance: the balance of the card's answer, fen.
        amount: fen; of a limit change the new limit.
        old_limit: limit before a change, else 0.
        terminal: six bytes.
    """

    card: CardReference
    card_random: bytes
    online_counter: int
    balance: int
    amount: int
    txn_type: TxnType
    terminal: bytes
    date4: int
    time3: int
    old_limit: int = 0


class SamFault(DialogueFault):
    """The key officer acts: the module has no such key, cannot be reached, or cannot keep its counter."""


class SamLockedFault(SamFault):
    """Three wrong MAC2 locked the SAM; only the key officer unlocks it."""


class WrongMacFault(DialogueFault):
    """A MAC of the card is wrong: it is not genuine, or was disturbed. Nothing it said is believed."""


class Sam(Protocol):
    """The terminal's security module."""

    @property
    def terminal(self) -> bytes:
        """Its number, six bytes: the terminal number of every record."""
        ...

    def authorise(self, terms: PurchaseTerms) -> PurchaseAuthorisation:
        """Take the next transaction number and compute MAC1 (80 70). Raises `SamFault`."""
        ...

    def confirm(self, mac2: bytes) -> None:
        """Check MAC2 of the purchase authorised last (80 72).

        Raises `WrongMacFault`, on the third in a row `SamLockedFault`.
        """
        ...


class IssuerHost(Protocol):
    """The issuer's security module behind load agents and service counters."""

    def authorise_online(self, terms: OnlineTerms, mac1: bytes) -> bytes:
        """Check the card's MAC1, return MAC2. Raises `WrongMacFault`, `SamFault`."""
        ...

    def confirm_unload(self, terms: OnlineTerms, new_balance: int, mac3: bytes) -> None:
        """Check MAC3 of an unload. Raises `WrongMacFault`, `SamFault`."""
        ...

    def maintenance_mac(self, card: CardReference, date4: int, challenge: bytes, data: bytes) -> bytes:
        """MAC of secure messaging over header and data. Raises `SamFault`."""
        ...

    def pin_mac(self, card: CardReference, date4: int, pin: bytes) -> bytes:
        """MAC of RELOAD PIN. Raises `SamFault`."""
        ...
