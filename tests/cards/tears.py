"""One torn dialogue at a terminal, what happens to the card before its next touch, and what all say afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from card_io.capture.settings import TerminalSettings
from card_io.capture.transactions import CapturePoint, State, Transaction
from card_io.layouts.files import IndustryRecord
from card_io.purse.application import read_industry
from card_io.readers.faults import CardFault, ReaderFault
from card_io.readers.port import Reader
from card_io.records import LOAD_TYPES, Service
from card_io.terminals.touch import PurseTerminal, Touch
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import VirtualReader
from card_io.virtual_card.training import TrainingIssuer

from .conftest import LIMITS, journey

AMOUNT = 350
HERE, ELSEWHERE = "310000000005", "310000000006"
_START_NS = 1_772_439_330 * 10**9  # 2026-03-02 08:15:30


class Dialogue(StrEnum):
    """What the terminal does when the card is torn out."""

    PURCHASE = "purchase"
    COMPOSITE = "composite purchase"
    LOAD = "load"


class Between(StrEnum):
    """What becomes of the card before it is touched here again."""

    NOTHING = "nothing"
    PURCHASE = "a purchase elsewhere, of the same amount"
    LOAD = "a load elsewhere, of the same amount"
    BOTH = "a purchase and a load elsewhere"
    FULL_LOG = "twelve purchases elsewhere: the log has turned over"


@dataclass
class Desk:
    """A terminal with its journal and its SAM."""

    issuer: TrainingIssuer
    terminal_id: str
    folder: Path
    clock_ns: int = _START_NS
    purse: PurseTerminal = field(init=False)

    def __post_init__(self) -> None:
        settings = TerminalSettings(
            terminal_id=self.terminal_id,
            merchant_id=201,
            sender=201,
            services=("retail", "load"),
            drop=self.folder,
            answers=self.folder,
            signing_key=self.folder,
        )
        self.point = CapturePoint.open(self.folder, clock=self.now)
        self.purse = PurseTerminal(self.point, settings, self.issuer.sam(self.terminal_id), clock=self.now)

    def now(self) -> int:
        return self.clock_ns

    def touch(self, reader: Reader, act: Callable[[Touch], object], timeout: float = 0.0) -> None:
        """A touch a minute after the last one."""
        self.clock_ns += 60 * 10**9
        with self.purse.touch(reader, timeout=timeout) as touch:
            act(touch)

    def act(self, dialogue: Dialogue) -> Callable[[Touch], object]:
        match dialogue:
            case Dialogue.PURCHASE:
                return lambda touch: self.purse.debit(touch, Service.RETAIL, AMOUNT, {})
            case Dialogue.COMPOSITE:
                return self._composite
            case Dialogue.LOAD:
                return lambda touch: self.purse.load(touch, self.issuer.host(), AMOUNT, {})

    def _composite(self, touch: Touch) -> object:
        found = read_industry(touch.channel, "2701")
        assert found is not None
        values = {spec.name: getattr(found[1], spec.name) for spec in found[1].FIELDS}
        left = IndustryRecord(**{**values, "state": 2, "exit_station": 3, "amount": AMOUNT})
        return self.purse.debit(touch, Service.RETAIL, AMOUNT, {}, cache=[left, journey(kind=4, amount=AMOUNT)])

    def transactions(self) -> list[Transaction]:
        return list(self.point.state.transactions.values())


def new_card(issuer: TrainingIssuer, number: int) -> VirtualCard:
    """A card with 10,000 fen of which every dialogue can take or give its amount."""
    return issuer.card(number, limits=LIMITS)


def happen_between(card: VirtualCard, between: Between, other: Desk) -> None:
    reader = VirtualReader(card)
    dialogues = {
        Between.NOTHING: [],
        Between.PURCHASE: [Dialogue.PURCHASE],
        Between.LOAD: [Dialogue.LOAD],
        Between.BOTH: [Dialogue.PURCHASE, Dialogue.LOAD],
        Between.FULL_LOG: [Dialogue.PURCHASE] * 12,
    }
    for dialogue in dialogues[between]:
        other.touch(reader, other.act(dialogue))


def run_torn(desk: Desk, reader: Reader, dialogue: Dialogue, timeout: float = 0.0) -> bool:
    """Run the dialogue; say whether it was torn."""
    try:
        desk.touch(reader, desk.act(dialogue), timeout)
    except (CardFault, ReaderFault):
        return True
    return False


def finding(moved: bool, desk: Desk, other: Desk) -> str:
    """What the journal says of the torn transaction after the next touch; AssertionError where the card differs.

    A record that is left open is decided here as the centre can: by the counters of later records. Whoever else began
    at its counter took it, so ours did not happen.
    """
    if not desk.transactions():
        assert not moved, "the card moved money that no journal knows of"
        return "never sent"
    [torn] = desk.transactions()
    if torn.is_grey:
        taken = [each for each in other.transactions() if _counter(each) == _counter(torn) and _same_kind(each, torn)]
        assert bool(taken) != moved, "the counter chain of later records contradicts the card"
        return f"open, decided by the counter chain: {'not debited' if taken else 'debited'}"
    assert (torn.state is State.DEBITED) == moved, f"journal says {torn.state}, card moved: {moved}"
    return f"{torn.state} by {torn.decided_by or 'answer'}"


def _counter(transaction: Transaction) -> int | None:
    return transaction.columns["card_counter"]


def _same_kind(one: Transaction, other: Transaction) -> bool:
    return (one.columns["txn_type"] in LOAD_TYPES) == (other.columns["txn_type"] in LOAD_TYPES)


def tear_points(lengths: list[tuple[int, int]]) -> Iterator[tuple[int, str, int]]:
    """Every byte of every command and response, ends included."""
    for number, (command, response) in enumerate(lengths):
        yield from ((number, "command", byte) for byte in range(command + 1))
        yield from ((number, "response", byte) for byte in range(response + 1))
