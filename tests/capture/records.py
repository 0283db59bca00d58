"""Hand-made records for capture tests."""

from __future__ import annotations

import json
from pathlib import Path

from card_io.capture import CapturePoint, TerminalSettings, load_settings
from card_io.keys.signature import SigningKey
from card_io.readers.exchange import Exchange, Step
from card_io.records import Algorithm, PurseKind, Service, TxnType

CARD = "3104770012345678901"
TERMINAL = "310400000001"
KEY = SigningKey(bytes(range(32)))


def retail(counter: int, amount: int = 200, balance: int = 100_000) -> dict[str, int | None]:
    """A purchase as it is known before the debit; terminal and card counter run together."""
    return {
        "issuer_id": 0x3104770000000001,
        "purse_kind": PurseKind.PURSE,
        "test_flag": 0,
        "card_counter": counter,
        "txn_type": TxnType.PURSE_PURCHASE,
        "terminal_id": int(TERMINAL, 16),
        "terminal_counter": 1000 + counter,
        "date4": 0x20260302,
        "time3": 0x080000,
        "amount": amount,
        "balance_before": balance,
        "key_version": 1,
        "key_index": 1,
        "algorithm": Algorithm.TDES,
        "merchant_id": 501,
    }


def exchange(counter: int) -> Exchange:
    """An exchange of one step."""
    return Exchange((Step(counter.to_bytes(4, "big") * 10, b"\x90\x00"),))


def purchase(point: CapturePoint, counter: int, amount: int = 200) -> int:
    """A whole purchase; returns its number."""
    number = point.intend(Service.RETAIL, CARD, retail(counter, amount))
    point.debited(number, {"tac": counter, "balance_after": 100_000 - amount}, exchange(counter))
    return number


def terminal(folder: Path, **changes: object) -> TerminalSettings:
    """Settings of a terminal whose drop and answers lie in its folder."""
    content = {
        "terminal_id": TERMINAL,
        "merchant_id": 501,
        "sender": 500,
        "services": ["retail"],
        "drop": "drop",
        "answers": "answers",
        "signing_key": "sender.key",
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "terminal.json").write_text(json.dumps(content))
    for name in ("drop", "answers"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "sender.key").write_text(KEY.to_hex())
    return load_settings(folder)
