"""Every row of the table of outcomes in `docs/card-dialogues.md` is run and ends as it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from card_io.apdu import CardChannel
from card_io.keys.keystore import KeyStore
from card_io.layouts.commands import PurseLimits
from card_io.purse import maintenance, online, purchase
from card_io.purse.application import PurseCard, read_balance, read_industry, read_log, select_purse
from card_io.readers.exchange import Exchange
from card_io.readers.faults import DialogueFault, NoCardFault, RefusedFault, TornFault
from card_io.readers.pcsc import PcscReader
from card_io.readers.port import CardSession
from card_io.records import Algorithm
from card_io.sam.keys import StoredKeys
from card_io.sam.memory import SamMemory
from card_io.sam.port import CardReference
from card_io.sam.terminal_sam import TerminalSam
from card_io.virtual_card.reader import Direction, Tear, VirtualReader
from card_io.virtual_card.server import InsertedCard
from card_io.virtual_card.training import TrainingIssuer

from .conftest import DATE, LIMITS, TIME, journey
from .virtual_readers import VirtualReaders

TERMINAL = "310000000007"
PIN, WRONG_PIN = b"\x12\x34\x56", b"\x00\x00\x00"
DOCUMENT = Path(__file__).parents[2] / "docs" / "card-dialogues.md"
WAIT = 5.0


@dataclass
class World:
    """A card in a reader, and everything a terminal has; the real readers only where a case asks for them."""

    issuer: TrainingIssuer
    request: pytest.FixtureRequest
    tmp_path: Path
    pin: bytes = b""
    limits: PurseLimits = LIMITS
    sessions: list[CardSession] = field(default_factory=list)
    inserted: list[InsertedCard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.card = self.issuer.card(600, limits=self.limits)
        self.reader = VirtualReader(self.card)
        self.sam = self.issuer.sam(TERMINAL)
        self.host = self.issuer.host()

    @property
    def readers(self) -> VirtualReaders:
        found: VirtualReaders = self.request.getfixturevalue("readers")
        return found

    def guard(self) -> None:
        """The card gets a PIN."""
        self.card.memory = replace(self.card.memory, pin=PIN, pin_for_load=True)

    def select(self, session: CardSession | None = None) -> tuple[CardChannel, PurseCard]:
        channel = CardChannel(session or self.reader.connect())
        return channel, select_purse(channel)

    def through_pcsc(self) -> tuple[CardChannel, PurseCard]:
        """The card in a real reader."""
        self.inserted.append(self.readers.insert(self.card))
        session = PcscReader(self.readers.name(0)).connect(WAIT)
        self.sessions.append(session)
        return self.select(session)

    def pay(self, channel: CardChannel, card: PurseCard, amount: int = 100, **options: object) -> purchase.Debit:
        return purchase.purchase(channel, card, self.sam, amount, DATE, TIME, **options)  # type: ignore[arg-type]

    def load(self, channel: CardChannel, card: PurseCard, amount: int = 100) -> online.Credited:
        return online.load(channel, card, self.host, self.sam.terminal, amount, DATE, TIME)

    def key(self, card: PurseCard) -> CardReference:
        return maintenance.key_reference(card, 1, 1, Algorithm.TDES)

    def close(self) -> None:
        for session in self.sessions:
            session.disconnect()
        for inserted in self.inserted:
            inserted.remove()


@pytest.fixture
def world(issuer: TrainingIssuer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(issuer, request, tmp_path)
    yield made
    made.close()


def no_card(world: World) -> None:
    PcscReader(world.readers.name(3)).connect(0.5)


def daemon_restarted(world: World) -> None:
    channel, card = world.through_pcsc()

    def restart(pending: purchase.PendingDebit) -> None:
        world.readers.kill()
        world.readers.start()

    world.pay(channel, card, before_debit=restart)


def unplugged(world: World) -> None:
    """The daemon comes back with one reader less: vpcd readers cannot be unplugged one by one."""
    readers = world.readers
    readers.stop()
    VirtualReaders(readers.folder, 2).start()
    try:
        PcscReader("Virtual 1 00 00").connect()
    finally:
        readers.stop()


def held(world: World) -> None:
    world.through_pcsc()
    PcscReader(world.readers.name(0), exclusive=True).connect(WAIT)


def torn_before(world: World) -> None:
    world.reader.tear = Tear(1, Direction.RESPONSE, 5)
    world.pay(*world.select())


def torn_in_debit(world: World) -> None:
    world.reader.tear = Tear(2, Direction.RESPONSE, 5)
    world.pay(*world.select())


def swapped(world: World) -> None:
    channel, card = world.select()
    world.reader.insert(world.issuer.card(601, limits=LIMITS))
    world.pay(channel, card)


def wrong_pin(world: World) -> None:
    world.guard()
    maintenance.verify_pin(world.select()[0], WRONG_PIN)


def wrong_pin_again(world: World) -> None:
    world.guard()
    world.card.memory = replace(world.card.memory, pin_tries=1)
    maintenance.verify_pin(world.select()[0], WRONG_PIN)


def pin_locked(world: World) -> None:
    world.guard()
    world.card.memory = replace(world.card.memory, pin_tries=0)
    maintenance.verify_pin(world.select()[0], PIN)


def load_without_pin(world: World) -> None:
    world.guard()
    world.load(*world.select())


def too_little(world: World) -> None:
    world.pay(*world.select(), LIMITS.balance + 1)


def above_the_cap(world: World) -> None:
    world.load(*world.select(), LIMITS.cap)


def blocked(world: World) -> None:
    channel, card = world.select()
    maintenance.block(channel, world.host, world.key(card), DATE)
    world.pay(channel, card)


def blocked_for_ever(world: World) -> None:
    channel, card = world.select()
    maintenance.block(channel, world.host, world.key(card), DATE, permanent=True)
    select_purse(channel)


def offline_counter_at_its_end(world: World) -> None:
    world.card.memory = replace(world.card.memory, offline_counter=0xFFFF)
    world.pay(*world.select())


def online_counter_at_its_end(world: World) -> None:
    world.card.memory = replace(world.card.memory, online_counter=0xFFFF)
    world.load(*world.select())


def unknown_key_index(world: World) -> None:
    world.pay(*world.select(), key_index=9)


def foreign_sam(world: World, tmp: str = "foreign") -> TerminalSam:
    """A SAM whose masters are another issuer's."""
    path = world.tmp_path / f"{tmp}.json"
    other = TrainingIssuer.create(path, "foreign", scrypt_n=2)
    return TerminalSam(StoredKeys(other.store), SamMemory(bytes.fromhex(TERMINAL)))


def refused_mac1(world: World) -> None:
    world.sam = foreign_sam(world)
    world.pay(*world.select())


def full_log(world: World) -> None:
    channel, card = world.select()
    for amount in range(1, 12):
        world.pay(channel, card, amount)
    assert [record.amount for record in read_log(channel)] == list(range(11, 1, -1))


def locked_slot(world: World) -> None:
    channel, card = world.select()
    found = read_industry(channel, "2701")
    assert found is not None
    raw = found[1].encode()
    world.card.memory = world.card.memory.with_industry(raw[:5] + b"\x01" + raw[6:])
    world.pay(channel, card, cache=[found[1], journey()])


def sam_without_key(world: World) -> None:
    empty = KeyStore.create(world.tmp_path / "empty.json", "empty", scrypt_n=2)
    world.sam = TerminalSam(StoredKeys(empty), SamMemory(bytes.fromhex(TERMINAL)))
    world.pay(*world.select())


class LyingSession:
    """Between terminal and card: answers every debit with a MAC2 that is not the card's."""

    atr = b""

    def __init__(self, session: CardSession) -> None:
        self._session = session

    def transmit(self, command: bytes) -> bytes:
        response = self._session.transmit(command)
        return response[:4] + bytes(4) + response[8:] if command[1] == 0x54 else response

    def begin_transaction(self) -> None:
        self._session.begin_transaction()

    def end_transaction(self) -> None:
        self._session.end_transaction()

    def disconnect(self) -> None:
        self._session.disconnect()


def wrong_mac2(world: World) -> None:
    world.pay(*world.select(LyingSession(world.reader.connect())))


def three_wrong_mac2(world: World) -> None:
    channel, card = world.select(LyingSession(world.reader.connect()))
    for _ in range(2):
        with pytest.raises(DialogueFault):
            world.pay(channel, card)
    world.pay(channel, card)


def locked_sam(world: World) -> None:
    with pytest.raises(DialogueFault):
        three_wrong_mac2(world)
    fresh = VirtualReader(world.issuer.card(602, limits=LIMITS))
    world.reader = fresh
    world.pay(*world.select())


def wrong_mac1_of_a_load(world: World) -> None:
    channel, card = world.select()
    started = online.initialise_load(channel, card, world.sam.terminal, 100)
    with channel.explained():
        online.authorise(world.host, replace(started, mac1=bytes(4)), DATE, TIME)


def another_family(world: World) -> None:
    world.card.memory = replace(world.card.memory, aid=b"PAY.SZT")
    channel = CardChannel(world.reader.connect())
    select_purse(channel, b"PAY.SZT".hex().upper())


SCENARIOS: dict[str, Callable[[World], None]] = {
    "no card in time": no_card,
    "daemon restarted in mid-dialogue": daemon_restarted,
    "reader unplugged": unplugged,
    "another program holds the reader": held,
    "card torn out before the debit": torn_before,
    "card torn out in the debit": torn_in_debit,
    "two cards swapped in mid-dialogue": swapped,
    "wrong PIN": wrong_pin,
    "wrong PIN for the third time": wrong_pin_again,
    "PIN locked": pin_locked,
    "load without PIN": load_without_pin,
    "too little money": too_little,
    "load above the cap": above_the_cap,
    "blocked application": blocked,
    "application blocked for ever": blocked_for_ever,
    "offline counter at maximum": offline_counter_at_its_end,
    "online counter at maximum": online_counter_at_its_end,
    "key index unknown to the card": unknown_key_index,
    "MAC1 refused by the card": refused_mac1,
    "full log": full_log,
    "industry slot locked": locked_slot,
    "SAM without the key": sam_without_key,
    "wrong MAC2": wrong_mac2,
    "SAM refusing three times": three_wrong_mac2,
    "SAM locked": locked_sam,
    "wrong MAC1 of a load": wrong_mac1_of_a_load,
    "a card of another family": another_family,
}


def table() -> dict[str, tuple[str, str]]:
    """Case → what the dialogue ends in, and whether money moved."""
    section = DOCUMENT.read_text("utf-8").partition("## Outcomes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    return {case: (ends.replace("`", ""), money) for case, ends, money in rows if case not in ("case", "---")}


def test_the_document_lists_the_cases_that_are_run() -> None:
    assert set(table()) == set(SCENARIOS)


@pytest.mark.parametrize("case", SCENARIOS)
def test_it_ends_as_the_document_says(world: World, case: str) -> None:
    before = world.card.memory.available
    try:
        SCENARIOS[case](world)
    except DialogueFault as fault:
        status = f" {fault.status:04X}" if isinstance(fault, RefusedFault) else ""
        found = f"{type(fault).__name__}{status}", "open" if money_was_sent(fault.exchange) else "no"
        if found[1] == "no" and case != "SAM locked":  # three debits went before
            assert world.card.memory.available == before
    else:
        found = "none", "yes" if world.card.memory.available != before else "no"
    assert found == table()[case]


def money_was_sent(exchange: Exchange) -> bool:
    """Whether a debit or credit was sent and neither refused nor surely undone."""
    last = exchange.steps[-1:]
    return any(
        step.command[1] in (0x52, 0x54) and (step.response is None or step.response[-2:] == b"\x90\x00")
        for step in last
    )


def test_a_swap_through_the_daemon(world: World) -> None:
    """The same with real readers: the connection stays dead, the second card is asked anew."""
    channel, card = world.through_pcsc()
    world.inserted.pop().remove()
    other = world.issuer.card(603, limits=LIMITS)
    world.inserted.append(world.readers.insert(other))
    with pytest.raises((NoCardFault, TornFault)):
        world.pay(channel, card)
    assert (world.card.memory.available, other.memory.available) == (LIMITS.balance, LIMITS.balance)
    again, _ = world.select(PcscReader(world.readers.name(0)).connect(WAIT))
    assert read_balance(again) == LIMITS.balance
    again.session.disconnect()


def test_what_the_cardholder_paid_in_the_restarted_daemon_is_decided_by_the_next_touch(world: World) -> None:
    """The daemon died before the debit reached the card: its counter has not moved."""
    channel, card = world.through_pcsc()
    started = purchase.initialise(channel, card, world.sam.terminal, 100)
    pending = purchase.authorise(world.sam, started, DATE, TIME)
    world.readers.kill()
    with pytest.raises(DialogueFault):
        purchase.debit(channel, world.sam, pending)
    world.readers.start()
    world.inserted.pop().remove()
    channel, card = world.through_pcsc()
    assert purchase.initialise(channel, card, world.sam.terminal, 0).offline_counter == started.offline_counter
