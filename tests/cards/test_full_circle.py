"""The full circle: card → reader → capture → delivery → clear → close → explain, by the hash of the exchange."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from card_io.capture.transactions import exchanges
from card_io.layouts.commands import PurseLimits
from card_io.readers.port import Reader
from card_io.terminals.station import Station, Wanted
from card_io.terminals.touch import Receipt
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import VirtualReader
from clearing import explain as explaining
from clearing.ledger.journal import Journal
from clearing.settlement import close_window
from clearing.verify import verify

from .circle import PASSPHRASE, Circle

MONEY = PurseLimits(cap=100_000, balance=5_000, overdraft_limit=0, overdraft_used=0)
DAY = datetime.date(2026, 3, 2)
Place = Callable[[VirtualCard], Reader]


@pytest.fixture(params=["in process", "PC/SC"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """How a card gets to a terminal: in this process, or through the real daemon."""
    if request.param == "in process":
        yield VirtualReader
        return
    readers = request.getfixturevalue("readers")
    from card_io.readers.pcsc import PcscReader

    cards = []

    def inserted(card: VirtualCard) -> Reader:
        cards.append(readers.insert(card))
        return PcscReader(readers.name(0))

    yield inserted
    for card in cards:
        card.remove()


def serve(station: Station, reader: Reader, wanted: Wanted) -> Receipt:
    with station.purse.touch(reader, timeout=5.0) as touch:
        [receipt] = station.service(wanted)(touch)
    return receipt


def test_from_the_card_to_the_explanation(tmp_path: Path, place: Place) -> None:
    circle = Circle.create(tmp_path)
    circle.register([7])
    gate_in = {"mode": "metro", "line": 1, "station": 101}
    entry = circle.station("310400000001", 201, 200, ["transit"], place=gate_in)
    exit_ = circle.station("310400000002", 201, 200, ["transit"], place={**gate_in, "station": 105})
    desk = circle.station("310400000003", 701, 701, ["load"])
    circle.publish()
    card = circle.issuer.card(7, limits=MONEY)
    reader = place(card)

    serve(desk, reader, Wanted("load", amount=1_000))
    serve(entry, reader, Wanted("transit", tap="in"))
    circle.clock.forward(1800)
    ride = serve(exit_, reader, Wanted("transit", tap="out"))
    assert (ride.amount, ride.balance_after, ride.facts["gross"]) == (300, 5_700, 300)

    circle.clock.forward(600)
    delivered = [circle.deliver(station) for station in (entry, exit_, desk)]
    assert [len(each.sent) for each in delivered] == [0, 1, 1]
    summary = circle.run()
    assert [(status, disposition, rows, fen) for status, disposition, rows, fen in summary.results] == [
        (1, 1, 2, 1_300)
    ]
    closed = [circle.deliver(station) for station in (exit_, desk)]
    assert [each.waiting for each in closed] == [[], []]
    assert [len(each.closed) for each in closed] == [1, 1]

    now = int((datetime.datetime(2026, 3, 3, 5) - datetime.datetime(1970, 1, 1)).total_seconds())
    close_window(circle.centre, DAY, passphrase=PASSPHRASE, now=now)
    file_no = next(
        entry.body["file_no"]
        for entry in Journal(circle.centre / "journal").of_kind("intake")
        if entry.body["service"] == "transit"
    )
    told = explaining.explain(circle.centre, f"{file_no}:1", passphrase=PASSPHRASE, language="en")
    assert told.source is not None
    assert told.source.exchange_sha256 == ride.exchange_sha256
    assert ride.exchange_sha256 in explaining.render_text(told, "en")
    kept = {found.sha256: found for _, found in exchanges(exit_.folder)}
    steps = kept[told.source.exchange_sha256].steps
    assert (steps[0].command[1], steps[-1].command[1], steps[-1].response[-2:]) == (0xA4, 0x54, b"\x90\x00")
    assert ride.tac is not None
    assert ride.tac in steps[-1].response
    assert verify(circle.centre, PASSPHRASE) == []
    for station in (entry, exit_, desk):
        station.close()
