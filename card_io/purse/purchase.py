"""Purchase and composite purchase, in the steps between which a terminal writes its journal.

    initialise → (cache records) → authorise → [journal: the debit is about to be sent] → debit

A fault up to `authorise` means that no money moved. A torn `debit` leaves the outcome unknown: the record is grey
until `card_io.purse.proof` or a later record decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from card_io.apdu import CardChannel, Command
from card_io.layouts.commands import DebitAnswer, DebitData, PurchaseInitAnswer, TransactionInit
from card_io.layouts.files import IndustryRecord, JourneyRecord
from card_io.purse.application import INDUSTRY_FILE, JOURNEY_FILE, PurseCard
from card_io.records import Algorithm, TxnType
from card_io.sam.port import CardReference, PurchaseTerms, Sam

_PURSE: Final = 0x02
_P1: Final = {TxnType.PURSE_PURCHASE: 0x01, TxnType.COMPOSITE_PURCHASE: 0x03}
_CACHE_FILE: Final = {IndustryRecord.LENGTH: INDUSTRY_FILE, JourneyRecord.LENGTH: JOURNEY_FILE}


@dataclass(frozen=True, slots=True)
class InitialisedPurchase:
    """What the card said; amounts in fen, `offline_counter` before the transaction."""

    card: PurseCard
    txn_type: TxnType
    amount: int
    terminal: bytes
    key_index: int
    key_version: int
    algorithm: Algorithm
    balance_before: int
    offline_counter: int
    overdraft_limit: int
    card_random: bytes

    @property
    def balance_after(self) -> int:
        """Balance if the debit happens."""
        return self.balance_before - self.amount

    @property
    def reference(self) -> CardReference:
        """Which key of the card is used."""
        card = self.card
        return CardReference(card.issuer_id, card.factor, self.key_version, self.key_index, self.algorithm)


@dataclass(frozen=True, slots=True)
class PendingDebit:
    """All that a record needs before the card has answered; what a terminal journals first."""

    purchase: InitialisedPurchase
    terminal_counter: int
    date4: int
    time3: int
    mac1: bytes


@dataclass(frozen=True, slots=True)
class Debit:
    """A proved debit: `tac` and `mac2`, four bytes each."""

    pending: PendingDebit
    tac: bytes
    mac2: bytes


def initialise(
    channel: CardChannel,
    card: PurseCard,
    terminal: bytes,
    amount: int,
    *,
    key_index: int = 1,
    composite: bool = False,
) -> InitialisedPurchase:
    """INITIALIZE FOR PURCHASE, or FOR CAPP PURCHASE.

    Raises `RefusedFault`: 9401 too little money, 9402 counter at its end, 9403 no such key, 9303 blocked.
    """
    txn_type = TxnType.COMPOSITE_PURCHASE if composite else TxnType.PURSE_PURCHASE
    data = TransactionInit(key_index=key_index, amount=amount, terminal=terminal.hex().upper()).encode()
    command = Command(0x80, 0x50, _P1[txn_type], _PURSE, data, PurchaseInitAnswer.LENGTH, "INITIALIZE FOR PURCHASE")
    answer = PurchaseInitAnswer.decode(channel.ask(command, PurchaseInitAnswer.LENGTH))
    with channel.explained():
        algorithm = card.algorithm(answer.algorithm)
    return InitialisedPurchase(
        card=card,
        txn_type=txn_type,
        amount=amount,
        terminal=terminal,
        key_index=key_index,
        key_version=answer.key_version,
        algorithm=algorithm,
        balance_before=answer.balance,
        offline_counter=answer.offline_counter,
        overdraft_limit=answer.overdraft_limit,
        card_random=bytes.fromhex(answer.random),
    )


def write_cache(channel: CardChannel, records: Iterable[IndustryRecord | JourneyRecord]) -> None:
    """UPDATE CAPP DATA CACHE: the card writes these records together with the debit, or never.

    Raises `RefusedFault`: 6A83 no such slot, 6974 slot locked, 6901 no composite purchase under way.
    """
    for record in records:
        raw = record.encode()
        p2 = _CACHE_FILE[len(raw)] << 3
        channel.ask(Command(0x80, 0xDC, 0x00, p2, raw, name="UPDATE CAPP DATA CACHE"), 0)


def authorise(sam: Sam, purchase: InitialisedPurchase, date4: int, time3: int) -> PendingDebit:
    """Number and MAC1 of the SAM. Raises `SamFault`; no money has moved."""
    terms = PurchaseTerms(
        purchase.reference,
        purchase.card_random,
        purchase.offline_counter,
        purchase.amount,
        purchase.txn_type,
        date4,
        time3,
    )
    given = sam.authorise(terms)
    return PendingDebit(purchase, given.terminal_counter, date4, time3, given.mac1)


def debit(channel: CardChannel, sam: Sam, pending: PendingDebit) -> Debit:
    """DEBIT FOR PURCHASE, then MAC2 in the SAM.

    Raises:
        RefusedFault: the card kept its money (9302: it did not accept MAC1).
        TornFault, ReaderFault: outcome unknown when the last step of `exchange` has no response.
        WrongMacFault, SamLockedFault: the answer is not a genuine card's; TAC and MAC2 stand in `exchange`.
    """
    data = DebitData(
        terminal_counter=pending.terminal_counter,
        date4=pending.date4,
        time3=pending.time3,
        mac1=pending.mac1.hex().upper(),
    )
    command = Command(0x80, 0x54, 0x01, 0x00, data.encode(), DebitAnswer.LENGTH, "DEBIT FOR PURCHASE")
    answer = DebitAnswer.decode(channel.ask(command, DebitAnswer.LENGTH))
    mac2 = bytes.fromhex(answer.mac2)
    with channel.explained():
        sam.confirm(mac2)
    return Debit(pending, bytes.fromhex(answer.tac), mac2)


def purchase(
    channel: CardChannel,
    card: PurseCard,
    sam: Sam,
    amount: int,
    date4: int,
    time3: int,
    *,
    key_index: int = 1,
    cache: Iterable[IndustryRecord | JourneyRecord] | None = None,
    before_debit: Callable[[PendingDebit], None] | None = None,
) -> Debit:
    """The whole purchase; composite when `cache` is given. `before_debit` is where a terminal journals.

    Raises as `initialise`, `write_cache`, `authorise` and `debit`.
    """
    started = initialise(channel, card, sam.terminal, amount, key_index=key_index, composite=cache is not None)
    write_cache(channel, cache or ())
    with channel.explained():
        pending = authorise(sam, started, date4, time3)
    if before_debit is not None:
        before_debit(pending)
    return debit(channel, sam, pending)
