"""Load, unload and overdraft limit: transactions that the issuer's host authorises.

initialise_… → authorise → [journal] → credit / give_up / set_limit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from card_io.apdu import CardChannel, Command
from card_io.layouts.commands import CreditAnswer, CreditData, LoadInitAnswer, OverdrawLimitData, TransactionInit
from card_io.purse.application import PurseCard
from card_io.records import Algorithm, TxnType
from card_io.sam.port import CardReference, IssuerHost, OnlineTerms

_PURSE: Final = 0x02
_LIMIT_ANSWER: Final = 19
_P1: Final = {TxnType.PURSE_LOAD: 0x00, TxnType.UNLOAD: 0x05}
_NAME: Final = {TxnType.PURSE_LOAD: "INITIALIZE FOR LOAD", TxnType.UNLOAD: "INITIALIZE FOR UNLOAD"}


@dataclass(frozen=True, slots=True)
class InitialisedOnline:
    """What the card said; amounts in fen, `online_counter` before the transaction."""

    card: PurseCard
    txn_type: TxnType
    amount: int
    terminal: bytes
    key_index: int
    key_version: int
    algorithm: Algorithm
    balance_before: int
    online_counter: int
    card_random: bytes
    mac1: bytes
    overdraft_limit: int = 0
    """Of a limit change: the limit before it."""

    @property
    def balance_after(self) -> int:
        """Balance if it happens."""
        change = {TxnType.PURSE_LOAD: self.amount, TxnType.UNLOAD: -self.amount}
        return self.balance_before + change.get(self.txn_type, self.amount - self.overdraft_limit)


@dataclass(frozen=True, slots=True)
class PendingOnline:
    """Authorised by the host and not yet told to the card; what a load terminal journals first."""

    started: InitialisedOnline
    date4: int
    time3: int
    mac2: bytes

    @property
    def terms(self) -> OnlineTerms:
        """What the host authorised."""
        return _terms(self.started, self.date4, self.time3)


@dataclass(frozen=True, slots=True)
class Credited:
    """A proved load or limit change; `tac` four bytes."""

    pending: PendingOnline
    tac: bytes


def initialise_load(
    channel: CardChannel, card: PurseCard, terminal: bytes, amount: int, *, key_index: int = 1
) -> InitialisedOnline:
    """INITIALIZE FOR LOAD. Raises `RefusedFault`: 6982 PIN first, 6985 above the cap, 9402, 9403, 9303."""
    return _initialise(channel, card, terminal, amount, TxnType.PURSE_LOAD, key_index)


def initialise_unload(
    channel: CardChannel, card: PurseCard, terminal: bytes, amount: int, *, key_index: int = 1
) -> InitialisedOnline:
    """INITIALIZE FOR UNLOAD. Raises `RefusedFault`: 6982 PIN first, 9401 too little money, 9402, 9403, 9303."""
    return _initialise(channel, card, terminal, amount, TxnType.UNLOAD, key_index)


def _initialise(
    channel: CardChannel, card: PurseCard, terminal: bytes, amount: int, txn_type: TxnType, key_index: int
) -> InitialisedOnline:
    data = TransactionInit(key_index=key_index, amount=amount, terminal=terminal.hex().upper()).encode()
    command = Command(0x80, 0x50, _P1[txn_type], _PURSE, data, LoadInitAnswer.LENGTH, _NAME[txn_type])
    answer = LoadInitAnswer.decode(channel.ask(command, LoadInitAnswer.LENGTH))
    with channel.explained():
        algorithm = card.algorithm(answer.algorithm)
    return InitialisedOnline(
        card=card,
        txn_type=txn_type,
        amount=amount,
        terminal=terminal,
        key_index=key_index,
        key_version=answer.key_version,
        algorithm=algorithm,
        balance_before=answer.balance,
        online_counter=answer.online_counter,
        card_random=bytes.fromhex(answer.random),
        mac1=bytes.fromhex(answer.mac1),
    )


def initialise_limit_change(
    channel: CardChannel, card: PurseCard, terminal: bytes, new_limit: int, *, key_index: int = 1
) -> InitialisedOnline:
    """INITIALIZE FOR UPDATE; `amount` of the result is the new limit. Raises `RefusedFault`: 9402, 9403, 9303."""
    command = Command(0x80, 0x50, 0x04, 0x01, bytes((key_index,)) + terminal, _LIMIT_ANSWER, "INITIALIZE FOR UPDATE")
    raw = channel.ask(command, _LIMIT_ANSWER)
    with channel.explained():
        algorithm = card.algorithm(raw[10])
    return InitialisedOnline(
        card=card,
        txn_type=TxnType.OVERDRAFT_LIMIT,
        amount=new_limit,
        terminal=terminal,
        key_index=key_index,
        key_version=raw[9],
        algorithm=algorithm,
        balance_before=int.from_bytes(raw[:4], "big"),
        online_counter=int.from_bytes(raw[4:6], "big"),
        card_random=raw[11:15],
        mac1=raw[15:],
        overdraft_limit=int.from_bytes(raw[6:9], "big"),
    )


def authorise(host: IssuerHost, started: InitialisedOnline, date4: int, time3: int) -> PendingOnline:
    """MAC1 checked and MAC2 made by the host. Raises `WrongMacFault`, `SamFault`; no money has moved."""
    return PendingOnline(started, date4, time3, host.authorise_online(_terms(started, date4, time3), started.mac1))


def credit(channel: CardChannel, pending: PendingOnline) -> Credited:
    """CREDIT FOR LOAD. `RefusedFault`: the card took nothing; a tear leaves the outcome unknown."""
    command = Command(0x80, 0x52, 0x00, 0x00, _given(pending), CreditAnswer.LENGTH, "CREDIT FOR LOAD")
    return Credited(pending, channel.ask(command, CreditAnswer.LENGTH))


def give_up(channel: CardChannel, host: IssuerHost, pending: PendingOnline) -> bytes:
    """DEBIT FOR UNLOAD; returns MAC3, checked by the host: only then money may be paid out."""
    command = Command(0x80, 0x54, 0x03, 0x00, _given(pending), CreditAnswer.LENGTH, "DEBIT FOR UNLOAD")
    mac3 = channel.ask(command, CreditAnswer.LENGTH)
    with channel.explained():
        host.confirm_unload(pending.terms, pending.started.balance_after, mac3)
    return mac3


def set_limit(channel: CardChannel, pending: PendingOnline) -> Credited:
    """UPDATE OVERDRAW LIMIT. `RefusedFault` 6985: more is used, or cap and limit do not fit together."""
    data = OverdrawLimitData(
        overdraft_limit=pending.started.amount,
        date4=pending.date4,
        time3=pending.time3,
        mac2=pending.mac2.hex().upper(),
    )
    command = Command(0x80, 0x58, 0x00, 0x00, data.encode(), CreditAnswer.LENGTH, "UPDATE OVERDRAW LIMIT")
    return Credited(pending, channel.ask(command, CreditAnswer.LENGTH))


def load(
    channel: CardChannel,
    card: PurseCard,
    host: IssuerHost,
    terminal: bytes,
    amount: int,
    date4: int,
    time3: int,
    *,
    key_index: int = 1,
) -> Credited:
    """The whole load, for tools that keep no journal; a terminal journals between `authorise` and `credit`."""
    started = initialise_load(channel, card, terminal, amount, key_index=key_index)
    with channel.explained():
        pending = authorise(host, started, date4, time3)
    return credit(channel, pending)


def _given(pending: PendingOnline) -> bytes:
    return CreditData(date4=pending.date4, time3=pending.time3, mac2=pending.mac2.hex().upper()).encode()


def _terms(started: InitialisedOnline, date4: int, time3: int) -> OnlineTerms:
    card = started.card
    reference = CardReference(card.issuer_id, card.factor, started.key_version, started.key_index, started.algorithm)
    return OnlineTerms(
        card=reference,
        card_random=started.card_random,
        online_counter=started.online_counter,
        balance=started.balance_before,
        amount=started.amount,
        txn_type=started.txn_type,
        terminal=started.terminal,
        date4=date4,
        time3=time3,
        old_limit=started.overdraft_limit,
    )
