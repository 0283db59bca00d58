"""A thousand purchases, loads and composite journeys through the real daemon; the batch engine verifies every TAC."""

from __future__ import annotations

import time

import pytest

from card_io.apdu import CardChannel
from card_io.layouts.files import IndustryRecord
from card_io.purse import online, purchase
from card_io.purse.application import read_balance, read_industry, select_purse
from card_io.readers.pcsc import PcscReader
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict

from .conftest import DATE, TIME, journey, say
from .tacs import verdicts
from .test_virtual_card import vars_of
from .virtual_readers import VirtualReaders

CARDS = 10
ROUNDS = 100
FARE, RIDE, TOP_UP = 200, 350, 600


def test_a_thousand_of_each(
    readers: VirtualReaders, issuer: TrainingIssuer, capsys: pytest.CaptureFixture[str]
) -> None:
    sam, host = issuer.sam("310000000004"), issuer.host()
    proved: list[purchase.Debit | online.Credited] = []
    round_trips, seconds = 0, 0.0
    for number in range(CARDS):
        inserted = readers.insert(issuer.card(400 + number), number % 4)
        session = PcscReader(readers.name(number % 4)).connect(5)
        channel = CardChannel(session)
        begun = time.perf_counter()
        with channel.transaction():
            card = select_purse(channel)
            _, slot = read_industry(channel, "2701") or pytest.fail("no slot 2701")
            entered = IndustryRecord(**{**vars_of(slot), "state": 1, "entry_station": 12, "maximum_fare": 800})
            left = IndustryRecord(**{**vars_of(entered), "state": 2, "exit_station": 3, "amount": RIDE})
            for _ in range(ROUNDS):
                proved.append(online.load(channel, card, host, sam.terminal, TOP_UP, DATE, TIME))
                proved.append(purchase.purchase(channel, card, sam, FARE, DATE, TIME))
                proved.append(purchase.purchase(channel, card, sam, 0, DATE, TIME, cache=[entered, journey()]))
                exit_ = [left, journey(kind=4, amount=RIDE)]
                proved.append(purchase.purchase(channel, card, sam, RIDE, DATE, TIME, cache=exit_))
            balance = read_balance(channel)
        seconds += time.perf_counter() - begun
        round_trips += len(channel.exchange.steps)
        session.disconnect()
        inserted.remove()
        assert balance == inserted.card.memory.available == ROUNDS * (TOP_UP - FARE - RIDE)
        assert inserted.card.memory.offline_counter == 3 * ROUNDS

    assert verdicts(issuer, proved) == [TacVerdict.VERIFIED] * (4 * CARDS * ROUNDS)
    counters = [each.pending.terminal_counter for each in proved if isinstance(each, purchase.Debit)]
    assert counters == list(range(1, 3 * CARDS * ROUNDS + 1))
    say(
        capsys,
        f"{CARDS * ROUNDS} loads, purchases and composite journeys each through pcscd: {round_trips:,} round trips,"
        f" {round_trips / seconds:,.0f} per second with both sides' cryptography in one process;"
        f" {len(proved):,} TACs verified by the batch engine",
    )


def test_round_trips_without_cryptography(
    readers: VirtualReaders, issuer: TrainingIssuer, capsys: pytest.CaptureFixture[str]
) -> None:
    inserted = readers.insert(issuer.card(499))
    session = PcscReader(readers.name(0)).connect(5)
    channel = CardChannel(session)
    select_purse(channel)
    begun = time.perf_counter()
    for _ in range(2000):
        assert read_balance(channel) == 0
    seconds = time.perf_counter() - begun
    session.disconnect()
    inserted.remove()
    say(capsys, f"GET BALANCE through pcscd: {2000 / seconds:,.0f} round trips per second")
    assert seconds < 40, "40 ms a round trip: the card no longer acknowledges at once (TCP_QUICKACK)"
