"""The tear campaign: the card removed at every byte of every APDU, both directions; 0 lost, 0 doubled.

Only the card decides whether money moved: each case compares it with the journals, and the batch engine verifies
every TAC that a decision brought up.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from queue import SimpleQueue

import pytest

from card_io.capture.transactions import State
from card_io.readers.pcsc import PcscReader
from card_io.readers.port import CardSession
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import Direction, Tear, VirtualReader
from card_io.virtual_card.server import PulledAt
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict

from .conftest import say
from .tacs import Proved, verdicts_of_records
from .tears import (
    ELSEWHERE,
    HERE,
    Between,
    Desk,
    Dialogue,
    finding,
    happen_between,
    new_card,
    run_torn,
    tear_points,
)
from .virtual_readers import VirtualReaders


class CountingReader(VirtualReader):
    """Notes the length of every command and response."""

    def __init__(self, card: VirtualCard) -> None:
        super().__init__(card)
        self.lengths: list[tuple[int, int]] = []

    def connect(self, timeout: float = 0.0) -> CardSession:  # type: ignore[override]
        session = super().connect(timeout)
        plain = session.transmit

        def transmit(command: bytes) -> bytes:
            response = plain(command)
            self.lengths.append((len(command), len(response)))
            return response

        session.transmit = transmit  # type: ignore[method-assign]
        return session


def lengths_of(issuer: TrainingIssuer, dialogue: Dialogue, folder: Path) -> list[tuple[int, int]]:
    """Of the dialogue when nothing tears it."""
    reader = CountingReader(new_card(issuer, 500))
    desk = Desk(issuer, HERE, folder)
    assert not run_torn(desk, reader, dialogue)
    desk.point.close()
    return reader.lengths


def one_case(
    issuer: TrainingIssuer, dialogue: Dialogue, tear: Tear, between: Between, folder: Path, *, last: bool
) -> tuple[str, list[Proved]]:
    """Tear, let the card be used elsewhere, touch it again; compare card and journals."""
    card = new_card(issuer, 501)
    reader = VirtualReader(card)
    desk, other = Desk(issuer, HERE, folder / "here"), Desk(issuer, ELSEWHERE, folder / "elsewhere")
    before = card.memory.available
    reader.tear = tear
    run_torn(desk, reader, dialogue)
    reader.tear = None
    moved = card.memory.available != before
    assert moved == (last and tear.direction is Direction.RESPONSE), "the card commits before its answer, or never"
    happen_between(card, between, other)
    reader.insert(card)
    desk.touch(reader, lambda touch: None)

    word = finding(moved, desk, other)
    sign = 1 if dialogue is Dialogue.LOAD else -1
    here = sum(sign * each.amount for each in desk.transactions() if each.state is State.DEBITED)
    there = sum(
        each.amount * (1 if each.columns["txn_type"] == 2 else -1)
        for each in other.transactions()
        if each.state is State.DEBITED
    )
    if not word.startswith("open"):
        assert card.memory.available == before + here + there
    proved = [
        Proved(501, each.columns)
        for each in (*desk.transactions(), *other.transactions())
        if each.state is State.DEBITED and each.columns["tac"] is not None
    ]
    for each in (desk, other):
        each.point.close()
    return word, proved


CASES = [
    (dialogue, between)
    for dialogue in Dialogue
    for between in (Between.NOTHING, Between.PURCHASE, Between.LOAD, Between.BOTH, Between.FULL_LOG)
]


@pytest.mark.parametrize(("dialogue", "between"), CASES, ids=lambda value: str(value))
def test_the_card_leaves_at_every_byte(
    issuer: TrainingIssuer,
    tmp_path: Path,
    dialogue: Dialogue,
    between: Between,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lengths = lengths_of(issuer, dialogue, tmp_path / "whole")
    last = len(lengths) - 1
    words: Counter[str] = Counter()
    proved: list[Proved] = []
    for number, direction, byte in tear_points(lengths):
        if between is not Between.NOTHING and number != last:
            continue  # nothing was journaled: what the card does elsewhere is nobody's concern here
        tear = Tear(number, Direction(direction), byte)
        word, brought = one_case(
            issuer, dialogue, tear, between, tmp_path / f"{number}{direction}{byte}", last=number == last
        )
        words[word] += 1
        proved += brought

    assert set(verdicts_of_records(issuer, proved)) <= {TacVerdict.VERIFIED}
    assert between is Between.FULL_LOG or not any(word.startswith("open") for word in words)
    shown = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    say(capsys, f"{dialogue}, then {between}: {sum(words.values())} tears; {shown}; {len(proved)} TACs verified")


@pytest.mark.parametrize("between", [Between.NOTHING, Between.PURCHASE, Between.LOAD])
@pytest.mark.parametrize("dialogue", Dialogue)
def test_the_card_leaves_before_and_after_every_apdu_through_the_daemon(
    readers: VirtualReaders,
    issuer: TrainingIssuer,
    tmp_path: Path,
    dialogue: Dialogue,
    between: Between,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lengths = lengths_of(issuer, dialogue, tmp_path / "whole")
    last = len(lengths) - 1
    numbers = range(last + 1) if between is Between.NOTHING else (last,)
    free: SimpleQueue[int] = SimpleQueue()
    for slot in range(readers.slots):
        free.put(slot)

    def one(number: int, when: PulledAt) -> str:
        slot = free.get()
        try:
            pulled = Pulled(number, when, last=number == last)
            return one_pull(readers, slot, issuer, dialogue, pulled, between, tmp_path / f"{number}{when}")
        finally:
            free.put(slot)

    # A case mostly waits until the daemon looks into its slot again: the slots wait side by side.
    with ThreadPoolExecutor(readers.slots) as pool:
        words = Counter(pool.map(one, *zip(*product(numbers, PulledAt), strict=True)))
    shown = ", ".join(f"{word} {count}" for word, count in sorted(words.items()))
    say(capsys, f"through the daemon, {dialogue}, then {between}: {sum(words.values())} tears; {shown}")
    assert sum(words.values()) == len(numbers) * len(PulledAt)
    assert not any(word.startswith("open") for word in words)


@dataclass(frozen=True)
class Pulled:
    """During which APDU the card leaves, and whether that is the one by which money moves."""

    apdu: int
    when: PulledAt
    last: bool


def one_pull(
    readers: VirtualReaders,
    slot: int,
    issuer: TrainingIssuer,
    dialogue: Dialogue,
    pulled: Pulled,
    between: Between,
    folder: Path,
) -> str:
    """Pull the card out, let it be used elsewhere, put it in again; compare card and journals."""
    reader = PcscReader(readers.name(slot))
    desk, other = Desk(issuer, HERE, folder / "here"), Desk(issuer, ELSEWHERE, folder / "elsewhere")
    inserted = readers.insert(new_card(issuer, 502), slot)
    card = inserted.card
    before = card.memory.available
    inserted.pull_at(pulled.apdu, pulled.when)
    assert run_torn(desk, reader, dialogue, 5)
    inserted.join()
    moved = card.memory.available != before
    assert moved == (pulled.last and pulled.when is PulledAt.AFTER)
    happen_between(card, between, other)
    inserted = readers.insert(card, slot)
    desk.touch(reader, lambda touch: None, 5)
    inserted.remove()
    word = finding(moved, desk, other)
    for each in (desk, other):
        each.point.close()
    return word
