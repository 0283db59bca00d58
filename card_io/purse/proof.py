"""GET TRANSACTION PROVE: what became of a transaction whose answer never came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from card_io.apdu import OK, CardChannel, Command
from card_io.layouts.commands import ProveAnswer
from card_io.readers.faults import ProtocolFault, RefusedFault
from card_io.records import TxnType

_NOT_AVAILABLE: Final = 0x9406


@dataclass(frozen=True, slots=True)
class Proof:
    """MAC2 (of a purchase) and TAC of the transaction, four bytes each."""

    mac: bytes
    tac: bytes


def prove(channel: CardChannel, txn_type: TxnType, counter_before: int) -> Proof | None:
    """Ask for the transaction of `txn_type` that began at `counter_before`; the card is asked for the next value.

    None when the card answers 9406: the transaction is not the last one of its counter. **That alone does not say
    that it never happened**: another may have come since. Whoever decides compares the card's counter.

    Raises:
        RefusedFault: for any other status word.
    """
    data = (counter_before + 1).to_bytes(2, "big")
    command = Command(0x80, 0x5A, 0x00, txn_type, data, ProveAnswer.LENGTH, "GET TRANSACTION PROVE")
    response = channel.send(command)
    with channel.explained():
        if response.status == _NOT_AVAILABLE:
            return None
        if response.status != OK:
            raise RefusedFault(command.name, response.status)
        if len(response.data) != ProveAnswer.LENGTH:
            what = f"{command.name}: {len(response.data)} bytes came back, {ProveAnswer.LENGTH} are due"
            raise ProtocolFault(what, "the card is of another kind; its issuer acts")
    answer = ProveAnswer.decode(response.data)
    return Proof(bytes.fromhex(answer.mac), bytes.fromhex(answer.tac))
