"""Proved transactions of the dialogues, verified column-wise by the batch engine with the issuer's masters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from card_io.purse.online import Credited
from card_io.purse.purchase import Debit
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacInput, TacVerdict, verify_tac


@dataclass(frozen=True)
class Proved:
    """A record with its TAC, and the card's factor."""

    card: int
    columns: dict[str, int | None]


def verdicts(issuer: TrainingIssuer, proved: Sequence[Debit | Credited]) -> list[TacVerdict]:
    """The batch engine's verdict on each TAC."""
    return _verify(issuer, [_row(each) for each in proved])


def verdicts_of_records(issuer: TrainingIssuer, proved: Sequence[Proved]) -> list[TacVerdict]:
    """The same for records as a terminal journals them."""
    return _verify(issuer, [_record_row(each) for each in proved])


def _verify(issuer: TrainingIssuer, rows: list[dict[str, int]]) -> list[TacVerdict]:
    if not rows:
        return []
    table = issuer.store.tac_key_table()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    load_key, purchase_key = (int(np.flatnonzero(table.is_load == flag)[0]) for flag in (True, False))
    is_load = np.isin(columns["txn_type"], (1, 2))
    inputs = TacInput(
        amount=np.array(columns["amount"], np.int64),
        txn_type=np.array(columns["txn_type"], np.uint8),
        terminal_id=np.array(columns["terminal_id"], np.uint64),
        terminal_counter=np.array(columns["terminal_counter"], np.uint32),
        date4=np.array(columns["date4"], np.uint32),
        time3=np.array(columns["time3"], np.uint32),
        new_balance=np.array(columns["new_balance"], np.uint32),
        online_counter=np.array(columns["online_counter"], np.uint16),
        factor=np.array(columns["factor"], np.uint64),
        key_row=np.where(is_load, load_key, purchase_key).astype(np.int32),
    )
    verdicts = verify_tac(inputs, np.array(columns["tac"], np.int64), table.master)
    return [TacVerdict(verdict) for verdict in verdicts]


def _record_row(proved: Proved) -> dict[str, int]:
    names = ("amount", "txn_type", "terminal_id", "date4", "time3", "tac")
    row = {name: int(proved.columns[name] or 0) for name in names}
    counter = int(proved.columns.get("terminal_counter") or 0)
    return row | {
        "terminal_counter": counter,
        "new_balance": int(proved.columns["balance_after"] or 0),
        "online_counter": int(proved.columns["card_counter"] or 0),
        "factor": int(f"310{proved.card:016d}"[-16:], 16),
    }


def _row(proved: Debit | Credited) -> dict[str, int]:
    pending = proved.pending
    started = pending.purchase if isinstance(proved, Debit) else pending.started
    return {
        "amount": started.amount,
        "txn_type": int(started.txn_type),
        "terminal_id": int.from_bytes(started.terminal, "big"),
        "terminal_counter": pending.terminal_counter if isinstance(proved, Debit) else 0,
        "date4": pending.date4,
        "time3": pending.time3,
        "new_balance": started.balance_after,
        "online_counter": 0 if isinstance(proved, Debit) else started.online_counter,
        "factor": int.from_bytes(started.card.factor, "big"),
        "tac": int.from_bytes(proved.tac, "big"),
    }
