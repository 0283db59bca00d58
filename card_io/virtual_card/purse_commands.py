"""Commands that move money: purchase, composite purchase, load, unload, overdraft limit, and their proof.

JR/T 0025.1 with the T-Union parameters of `card-standards.md` §2. MAC1 to MAC3 and TAC of unload and limit change
follow JR/T 0025.1; no vector of those is public.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from card_io import mac
from card_io.apdu import Command
from card_io.layouts.commands import (
    CreditData,
    DebitAnswer,
    DebitData,
    LoadInitAnswer,
    OverdrawLimitData,
    ProveAnswer,
    PurchaseInitAnswer,
    TransactionInit,
)
from card_io.layouts.files import LogRecord
from card_io.purse.algorithm import CIPHERS, PurseCipher
from card_io.records import Algorithm, TxnType
from card_io.virtual_card.memory import COUNTER_MAX, CardMemory, KeySet, Proof
from card_io.virtual_card.work import Handler, Pending, Refused, Work, require

_PURSE: Final = 0x02
_OVERDRAFT_CHANGE: Final = TxnType.OVERDRAFT_LIMIT


def initialise(work: Work, command: Command) -> bytes:
    """INITIALIZE FOR …: 80 50, P1 names the transaction."""
    starter = _INITIALISERS.get((command.p1, command.p2))
    if starter is None:
        raise Refused(0x6A86)
    work.require_purse()
    return starter(work, command)


def _begin(work: Work, command: Command, txn_type: TxnType) -> Pending:
    require(len(command.data) == TransactionInit.LENGTH, 0x6700)
    asked = TransactionInit.decode(command.data)
    keys = work.memory.keys.get(asked.key_index)
    if keys is None:
        raise Refused(0x9403)
    pending = Pending(txn_type, asked.amount, bytes.fromhex(asked.terminal), keys, work.random(4))
    work.pending = pending
    return pending


def _initialise_purchase(txn_type: TxnType) -> Handler:
    def handler(work: Work, command: Command) -> bytes:
        pending = _begin(work, command, txn_type)
        memory = work.memory
        require(memory.offline_counter < COUNTER_MAX, 0x9402)
        require(pending.amount <= memory.available, 0x9401)
        return PurchaseInitAnswer(
            balance=memory.available,
            offline_counter=memory.offline_counter,
            overdraft_limit=memory.limits.overdraft_limit,
            key_version=pending.keys.version,
            algorithm=pending.keys.algorithm,
            random=_hex(pending.random),
        ).encode()

    return handler


def _initialise_load(work: Work, command: Command) -> bytes:
    pending = _begin(work, command, TxnType.PURSE_LOAD)
    memory = work.memory
    require(not memory.pin_for_load or work.pin_verified, 0x6982)
    require(memory.online_counter < COUNTER_MAX, 0x9402)
    try:
        memory.credited(pending.amount)
    except ValueError:
        raise Refused(0x6985) from None
    return _online_answer(memory, pending, pending.keys.load)


def _initialise_unload(work: Work, command: Command) -> bytes:
    pending = _begin(work, command, TxnType.UNLOAD)
    memory = work.memory
    require(not memory.pin_for_load or work.pin_verified, 0x6982)
    require(memory.online_counter < COUNTER_MAX, 0x9402)
    require(pending.amount <= memory.limits.balance, 0x9401)
    return _online_answer(memory, pending, pending.keys.unload)


def _online_answer(memory: CardMemory, pending: Pending, key: bytes) -> bytes:
    session = _online_session(memory, pending, key)
    data = mac.load_mac1_data(memory.available, pending.amount, pending.txn_type, _number(pending.terminal))
    return LoadInitAnswer(
        balance=memory.available,
        online_counter=memory.online_counter,
        key_version=pending.keys.version,
        algorithm=pending.keys.algorithm,
        random=_hex(pending.random),
        mac1=_hex(_cipher(pending.keys).session_mac(session, data)),
    ).encode()


def _initialise_update(work: Work, command: Command) -> bytes:
    """INITIALIZE FOR UPDATE: key index and terminal in; balance4 counter2 limit3 version1 algorithm1 random4 MAC1."""
    require(len(command.data) == 7, 0x6700)
    keys = work.memory.keys.get(command.data[0])
    if keys is None:
        raise Refused(0x9403)
    memory = work.memory
    require(memory.online_counter < COUNTER_MAX, 0x9402)
    pending = Pending(_OVERDRAFT_CHANGE, 0, command.data[1:], keys, work.random(4))
    work.pending = pending
    session = _online_session(memory, pending, keys.overdraft)
    limit = memory.limits.overdraft_limit.to_bytes(3, "big")
    head = mac.amount_data(memory.available)
    mac1 = _cipher(keys).session_mac(session, head + limit + bytes((pending.txn_type,)) + pending.terminal)
    counter = memory.online_counter.to_bytes(2, "big")
    return head + counter + limit + bytes((keys.version, keys.algorithm)) + pending.random + mac1


def debit(work: Work, command: Command) -> bytes:
    """DEBIT FOR PURCHASE or COMPOSITE PURCHASE (80 54 01), FOR UNLOAD (80 54 03)."""
    if (command.p1, command.p2) == (0x03, 0x00):
        return _debit_unload(work, command)
    require((command.p1, command.p2) == (0x01, 0x00), 0x6A86)
    work.require_purse()
    pending = _take_pending(work, TxnType.PURSE_PURCHASE, TxnType.COMPOSITE_PURCHASE)
    require(len(command.data) == DebitData.LENGTH, 0x6700)
    given = DebitData.decode(command.data)
    memory, keys, terminal = work.memory, pending.keys, _number(pending.terminal)
    cipher = _cipher(keys)
    seed = mac.purchase_session_data(pending.random, memory.offline_counter, given.terminal_counter)
    session = cipher.session_key(keys.purchase, seed)
    told = mac.purchase_mac1_data(pending.amount, pending.txn_type, terminal, given.date4, given.time3)
    require(cipher.session_mac(session, told) == bytes.fromhex(given.mac1), 0x9302)
    tac_data = mac.purchase_tac_data(
        pending.amount, pending.txn_type, terminal, given.terminal_counter, given.date4, given.time3
    )
    tac = cipher.tac(keys.tac_purchase, tac_data)
    mac2 = cipher.session_mac(session, mac.amount_data(pending.amount))
    after = memory.offline_counter + 1
    memory = memory.debited(pending.amount).logged(_log(memory, pending, after, given.date4, given.time3))
    for record in pending.cache:
        memory = memory.with_industry(record) if len(record) == 128 else memory.with_journey(record)
    work.memory = replace(memory, offline_counter=after, offline_proof=Proof(pending.txn_type, after, mac2, tac))
    return DebitAnswer(tac=_hex(tac), mac2=_hex(mac2)).encode()


def credit(work: Work, command: Command) -> bytes:
    """CREDIT FOR LOAD (80 52): P2 00 of JR/T 0025 or 02 of newer cards."""
    require(command.p1 == 0 and command.p2 in (0x00, _PURSE), 0x6A86)
    work.require_purse()
    pending = _take_pending(work, TxnType.PURSE_LOAD)
    require(len(command.data) == CreditData.LENGTH, 0x6700)
    given = CreditData.decode(command.data)
    memory, keys, terminal = work.memory, pending.keys, _number(pending.terminal)
    cipher, mac2 = _cipher(keys), bytes.fromhex(given.mac2)
    session = _online_session(memory, pending, keys.load)
    told = mac.purchase_mac1_data(pending.amount, pending.txn_type, terminal, given.date4, given.time3)
    require(cipher.session_mac(session, told) == mac2, 0x9302)
    richer = memory.credited(pending.amount)
    tac_data = mac.load_tac_data(
        richer.available,
        memory.online_counter,
        pending.amount,
        pending.txn_type,
        terminal,
        given.date4,
        given.time3,
    )
    tac = cipher.tac(keys.tac_load, tac_data)
    _commit_online(work, richer, pending, given, mac2, tac)
    return tac


def _debit_unload(work: Work, command: Command) -> bytes:
    """MAC2 of the host in, MAC3 of the card out; the TAC waits for GET TRANSACTION PROVE."""
    work.require_purse()
    pending = _take_pending(work, TxnType.UNLOAD)
    require(len(command.data) == CreditData.LENGTH, 0x6700)
    given = CreditData.decode(command.data)
    memory, keys, terminal = work.memory, pending.keys, _number(pending.terminal)
    cipher, session = _cipher(keys), _online_session(memory, pending, keys.unload)
    told = mac.purchase_mac1_data(pending.amount, pending.txn_type, terminal, given.date4, given.time3)
    require(cipher.session_mac(session, told) == bytes.fromhex(given.mac2), 0x9302)
    poorer = memory.debited(pending.amount)
    proved = mac.load_tac_data(
        poorer.available,
        memory.online_counter,
        pending.amount,
        pending.txn_type,
        terminal,
        given.date4,
        given.time3,
    )
    mac3 = cipher.session_mac(session, proved)
    _commit_online(work, poorer, pending, given, mac3, cipher.tac(keys.tac_load, proved))
    return mac3


def update_overdraw_limit(work: Work, command: Command) -> bytes:
    """UPDATE OVERDRAW LIMIT (80 58): a new limit under the host's MAC2, TAC out."""
    require((command.p1, command.p2) == (0, 0), 0x6A86)
    work.require_purse()
    pending = _take_pending(work, _OVERDRAFT_CHANGE)
    require(len(command.data) == OverdrawLimitData.LENGTH, 0x6700)
    given = OverdrawLimitData.decode(command.data)
    memory, keys = work.memory, pending.keys
    cipher, session = _cipher(keys), _online_session(memory, pending, keys.overdraft)
    tail = bytes((pending.txn_type,)) + pending.terminal + command.data[3:10]
    require(cipher.session_mac(session, command.data[:3] + tail) == bytes.fromhex(given.mac2), 0x9302)
    try:
        changed = memory.with_overdraft_limit(given.overdraft_limit)
    except ValueError:
        raise Refused(0x6985) from None
    head = mac.amount_data(changed.available) + memory.online_counter.to_bytes(2, "big")
    tac = cipher.tac(keys.tac_load, head + command.data[:3] + tail)
    told = CreditData(date4=given.date4, time3=given.time3, mac2=given.mac2)
    _commit_online(work, changed, pending, told, bytes.fromhex(given.mac2), tac)
    return tac


def prove(work: Work, command: Command) -> bytes:
    """GET TRANSACTION PROVE (80 5A): MAC and TAC, if the last transaction of that counter is the one asked for."""
    require(command.p1 == 0, 0x6A86)
    require(len(command.data) == 2, 0x6700)
    require(work.selected, 0x6985)
    counter = int.from_bytes(command.data, "big")
    for proof in (work.memory.offline_proof, work.memory.online_proof):
        if proof is not None and (proof.txn_type, proof.counter_after) == (command.p2, counter):
            return ProveAnswer(mac=_hex(proof.mac), tac=_hex(proof.tac)).encode()
    raise Refused(0x9406)


def balance(work: Work, command: Command) -> bytes:
    """GET BALANCE (80 5C): P1 00 balance, 01 limit, 02 overdraft used, 03 actual balance, 04 cap, 05 these four."""
    require(command.p2 == _PURSE, 0x6A86)
    require(work.selected, 0x6985)
    limits = work.memory.limits
    each = (limits.overdraft_limit, limits.overdraft_used, limits.balance, limits.cap)
    values = {0: (work.memory.available,), 5: each} | {p1: (value,) for p1, value in enumerate(each, 1)}
    if command.p1 not in values:
        raise Refused(0x6A86)
    return b"".join(mac.amount_data(value) for value in values[command.p1])


def _commit_online(
    work: Work, memory: CardMemory, pending: Pending, given: CreditData, code: bytes, tac: bytes
) -> None:
    after = work.memory.online_counter + 1
    memory = memory.logged(_log(memory, pending, after, given.date4, given.time3))
    work.memory = replace(memory, online_counter=after, online_proof=Proof(pending.txn_type, after, code, tac))


def _log(memory: CardMemory, pending: Pending, counter: int, date4: int, time3: int) -> LogRecord:
    return LogRecord(
        counter=counter,
        overdraft_limit=memory.limits.overdraft_limit,
        amount=pending.amount,
        txn_type=pending.txn_type,
        terminal=_hex(pending.terminal),
        date4=date4,
        time3=time3,
    )


def _take_pending(work: Work, *types: TxnType) -> Pending:
    pending, work.pending = work.pending, None
    if pending is None or pending.txn_type not in types:
        raise Refused(0x6901)
    return pending


def _online_session(memory: CardMemory, pending: Pending, key: bytes) -> bytes:
    seed = mac.load_session_data(pending.random, memory.online_counter)
    return _cipher(pending.keys).session_key(key, seed)


def _cipher(keys: KeySet) -> PurseCipher:
    return CIPHERS[Algorithm(keys.algorithm)]


def _number(terminal: bytes) -> int:
    return int.from_bytes(terminal, "big")


def _hex(raw: bytes) -> str:
    return raw.hex().upper()


_INITIALISERS: Final[dict[tuple[int, int], Handler]] = {
    (0x00, _PURSE): _initialise_load,
    (0x01, _PURSE): _initialise_purchase(TxnType.PURSE_PURCHASE),
    (0x03, _PURSE): _initialise_purchase(TxnType.COMPOSITE_PURCHASE),
    (0x04, 0x01): _initialise_update,
    (0x05, _PURSE): _initialise_unload,
}
