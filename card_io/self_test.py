"""``card self-test``: the whole terminal on a virtual card, in a temporary folder, in a second."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from card_io.capture.deliver import deliver
from card_io.capture.journal import wall_clock_ns
from card_io.capture.settings import SETTINGS
from card_io.capture.transactions import State, read_state
from card_io.delivery.manifest import load_manifest
from card_io.delivery.parquet import read_parquet
from card_io.keys.signature import generate_signing_key
from card_io.layouts.commands import PurseLimits
from card_io.readers.faults import TornFault
from card_io.records import Service
from card_io.terminals.load import LoadTerminal
from card_io.terminals.station import Station, Wanted, signing_key
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import Direction, Tear, VirtualReader
from card_io.virtual_card.training import TrainingIssuer

_PASSPHRASE: Final = "self-test"
_TERMINAL: Final = "310400000001"
_OPENING, _LOAD = 5_000, 1_000
_DEBIT_OF_A_BILL: Final = 1
"""Commands of a utility payment before its DEBIT, counted from the touch: INITIALIZE."""


@dataclass(frozen=True, slots=True)
class Name:
    """A check in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Result:
    """One check; ``error`` None = passed."""

    name: Name
    error: str | None


def run_self_test() -> list[Result]:
    """Every check in order; a failed one ends the rest."""
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="card-self-test-") as name:
        bench = _Bench(Path(name))
        try:
            for check, label in bench.checks():
                try:
                    check()
                except Exception as error:  # whatever is wrong with the terminal is the finding
                    results.append(Result(label, f"{type(error).__name__}: {error}"))
                    break
                results.append(Result(label, None))
        finally:
            bench.close()
    return results


class _Bench:
    """A terminal, an issuer and a card that know only each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.station: Station | None = None
        self.card: VirtualCard | None = None

    def close(self) -> None:
        if self.station is not None:
            self.station.close()

    def checks(self) -> list[tuple[Callable[[], None], Name]]:
        return [
            (self.personalise, Name("密钥库、虚拟卡与 SAM", "key store, virtual card and SAM")),
            (self.load, Name("圈存", "load")),
            (self.pay, Name("消费,先落盘后放行", "debit, on disk before the gate")),
            (self.tear, Name("闪卡后由卡片判定", "a torn debit decided by the card")),
            (self.reopen, Name("日志重新打开一致", "the journal opens again and says the same")),
            (self.deliver, Name("签名报送文件", "signed delivery file")),
        ]

    def personalise(self) -> None:
        issuer = TrainingIssuer.create(self.folder / "keystore.json", _PASSPHRASE, scrypt_n=2)
        limits = PurseLimits(cap=100_000, balance=_OPENING, overdraft_limit=0, overdraft_used=0)
        self.card = issuer.card(1, limits=limits)
        bill = {"utility_id": 1, "bill_id": 1, "commodity": 1, "account": 1, "period": 202601, "household_size": 1}
        quote = {"bills": [{**bill, "usage": 1, "bill_amount": 300}]}
        (self.folder / "quote.json").write_text(json.dumps(quote))
        (self.folder / "sender.key").write_text(generate_signing_key().to_hex())
        settings = {
            "terminal_id": _TERMINAL, "merchant_id": 1, "sender": 1, "services": ["utility", "load"], "drop": "drop",
            "answers": "answers", "signing_key": "sender.key", "keystore": "keystore.json", "test": True,
        }  # fmt: skip
        (self.folder / SETTINGS).write_text(json.dumps(settings))
        self.station = Station(self.folder, _PASSPHRASE)
        self.host = issuer.host()

    def load(self) -> None:
        assert self.station is not None
        with self.station.purse.touch(VirtualReader(self.card)) as touch:
            receipt = LoadTerminal(self.station.purse, self.host).load(touch, _LOAD)
        _expect(receipt.balance_after, _OPENING + _LOAD)

    def pay(self) -> None:
        assert self.station is not None
        served = self.station.service(Wanted("utility", quote=self.folder / "quote.json"))
        with self.station.purse.touch(VirtualReader(self.card)) as touch:
            [receipt] = served(touch)
        _expect(receipt.balance_after, _OPENING + _LOAD - 300)
        _expect(read_state(self.folder).transactions[receipt.number].state, State.DEBITED)

    def tear(self) -> None:
        assert self.station is not None
        served = self.station.service(Wanted("utility", quote=self.folder / "quote.json"))
        reader = VirtualReader(self.card)
        try:
            with self.station.purse.touch(reader) as touch:
                reader.tear = Tear(_DEBIT_OF_A_BILL, Direction.RESPONSE, 0)
                served(touch)
        except TornFault:
            pass
        _expect(len(self.station.point.state.grey()), 1)
        with self.station.purse.touch(VirtualReader(self.card)) as touch:
            [(number, verdict)] = touch.settled
        _expect((verdict.state, verdict.by), (State.DEBITED, "prove"))
        _expect(self.station.point.state.transactions[number].state, State.DEBITED)

    def reopen(self) -> None:
        assert self.station is not None
        before = self.station.point.state.transactions
        _expect(read_state(self.folder).transactions, before)

    def deliver(self) -> None:
        assert self.station is not None
        settings = self.station.settings
        key = signing_key(settings)
        report = deliver(self.station.point, settings, key, wall_clock_ns())
        rows = 0
        for file in report.sent:
            manifest = load_manifest(settings.drop / f"{file}.manifest.json")
            manifest.verify_with(key.verify_key.verify)
            service = Service[manifest.service.upper()]
            rows += sum(len(block) for block, _ in read_parquet(settings.drop / file, service))
        _expect(rows, 3)


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"found {found}, wanted {wanted}")
