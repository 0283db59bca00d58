"""The PC/SC adapter against the real daemon: presence, tears, sharing, restarts, unplugged readers, the monitor."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from card_io.apdu import CardChannel
from card_io.purse import online, purchase
from card_io.purse.application import read_balance, select_purse
from card_io.readers.faults import NoCardFault, ReaderFault, TornFault
from card_io.readers.monitor import Event, Happening, ReaderMonitor
from card_io.readers.pcsc import PcscReader, reader_names
from card_io.virtual_card.server import PulledAt
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict

from .tacs import verdicts
from .virtual_readers import VirtualReaders

DATE, TIME = 0x20260302, 0x081530
TERMINAL = "310000000002"
WAIT = 5.0


def test_readers_are_listed(readers: VirtualReaders) -> None:
    assert list(reader_names()) == readers.names


def test_money_moves_through_the_daemon(readers: VirtualReaders, issuer: TrainingIssuer) -> None:
    inserted = readers.insert(issuer.card(10))
    sam = issuer.sam(TERMINAL)
    session = PcscReader(readers.name(0)).connect(WAIT)
    channel = CardChannel(session)
    with channel.transaction():
        card = select_purse(channel)
        loaded = online.load(channel, card, issuer.host(), sam.terminal, 5000, DATE, TIME)
        paid = purchase.purchase(channel, card, sam, 350, DATE, TIME)
    session.disconnect()
    inserted.remove()

    assert inserted.card.memory.available == 4650
    assert verdicts(issuer, [loaded, paid]) == [TacVerdict.VERIFIED] * 2


def test_no_card_is_a_card_fault_after_the_time_given(readers: VirtualReaders) -> None:
    begun = time.monotonic()
    with pytest.raises(NoCardFault, match="present the card"):
        PcscReader(readers.name(1)).connect(0.7)
    assert 0.6 < time.monotonic() - begun < 3


def test_an_unknown_reader_is_a_reader_fault(readers: VirtualReaders) -> None:
    with pytest.raises(ReaderFault, match="plug"):
        PcscReader("No such reader 00 00").connect()


@pytest.mark.parametrize("when", PulledAt)
def test_a_torn_command_leaves_its_outcome_open(
    readers: VirtualReaders, issuer: TrainingIssuer, when: PulledAt
) -> None:
    """pyscard reports success with no bytes; the channel's last step has no response."""
    inserted = readers.insert(issuer.card(11))
    session = PcscReader(readers.name(0)).connect(WAIT)
    channel = CardChannel(session)
    select_purse(channel)
    inserted.pull_at(0, when)
    with pytest.raises(TornFault) as torn:
        read_balance(channel)
    with pytest.raises((NoCardFault, TornFault)):
        read_balance(channel)
    session.disconnect()
    inserted.join()

    assert [step.response is None for step in torn.value.exchange.steps] == [False, True]
    assert torn.value.exchange.steps[-1].command.hex() == "805c000204"


def test_a_swapped_card_never_takes_over_a_dialogue(readers: VirtualReaders, issuer: TrainingIssuer) -> None:
    first = readers.insert(issuer.card(12))
    session = PcscReader(readers.name(0)).connect(WAIT)
    channel = CardChannel(session)
    select_purse(channel)
    first.remove()
    second = readers.insert(issuer.card(13))
    with pytest.raises((NoCardFault, TornFault)):
        read_balance(channel)
    time.sleep(1)
    with pytest.raises(NoCardFault):
        read_balance(channel)
    session.disconnect()
    again = PcscReader(readers.name(0)).connect(WAIT)
    assert select_purse(CardChannel(again)).card_number.endswith("13")
    again.disconnect()
    second.remove()


def test_a_transaction_keeps_others_waiting(readers: VirtualReaders, issuer: TrainingIssuer) -> None:
    inserted = readers.insert(issuer.card(14))
    one, other = (PcscReader(readers.name(0)).connect(WAIT) for _ in range(2))
    order: list[str] = []

    def ask() -> None:
        select_purse(CardChannel(other))
        order.append("other")

    one.begin_transaction()
    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.4)
    order.append("one")
    one.end_transaction()
    thread.join(WAIT)
    assert order == ["one", "other"]
    with pytest.raises(ReaderFault, match="close the program"):
        PcscReader(readers.name(0), exclusive=True).connect(WAIT)
    for session in (one, other):
        session.disconnect()
    inserted.remove()


def test_a_daemon_that_dies_is_a_reader_fault_and_its_successor_serves(
    readers: VirtualReaders, issuer: TrainingIssuer
) -> None:
    card = issuer.card(15)
    inserted = readers.insert(card)
    session = PcscReader(readers.name(0)).connect(WAIT)
    channel = CardChannel(session)
    select_purse(channel)
    readers.kill()
    with pytest.raises(ReaderFault) as gone:
        read_balance(channel)
    session.disconnect()
    inserted.join()
    with pytest.raises(ReaderFault, match="start the PC/SC daemon"):
        reader_names()
    readers.start()
    again = readers.insert(card)
    session = PcscReader(readers.name(0)).connect(WAIT)
    assert read_balance_of(session) == 0
    session.disconnect()
    again.remove()

    assert gone.value.in_command
    assert gone.value.exchange.steps[-1].response is None


def read_balance_of(session: object) -> int:
    channel = CardChannel(session)  # type: ignore[arg-type]
    select_purse(channel)
    return read_balance(channel)


@pytest.fixture
def monitor(readers: VirtualReaders) -> Iterator[ReaderMonitor]:
    watching = ReaderMonitor()
    yield watching
    watching.stop()


def told(monitor: ReaderMonitor, count: int) -> list[Event]:
    return [monitor.events.get(timeout=WAIT) for _ in range(count)]


def test_the_monitor_survives_the_daemon(
    monitor: ReaderMonitor, readers: VirtualReaders, issuer: TrainingIssuer
) -> None:
    names = readers.names
    assert told(monitor, 4) == [Event(Happening.READER_ADDED, name) for name in names]
    card = issuer.card(16)
    inserted = readers.insert(card)
    assert told(monitor, 1) == [Event(Happening.CARD_INSERTED, names[0])]
    inserted.remove()
    assert told(monitor, 1) == [Event(Happening.CARD_REMOVED, names[0])]
    inserted = readers.insert(card, 3)
    assert told(monitor, 1) == [Event(Happening.CARD_INSERTED, names[3])]

    readers.kill()
    inserted.join()
    lost = told(monitor, 6)
    assert lost[-1] == Event(Happening.DAEMON_LOST)
    assert Event(Happening.CARD_REMOVED, names[3]) in lost
    readers.start()
    assert told(monitor, 1) == [Event(Happening.DAEMON_BACK)]
    assert told(monitor, 4) == [Event(Happening.READER_ADDED, name) for name in names]
    inserted = readers.insert(card, 1)
    assert told(monitor, 1) == [Event(Happening.CARD_INSERTED, names[1])]
    inserted.remove()
    assert told(monitor, 1) == [Event(Happening.CARD_REMOVED, names[1])]
