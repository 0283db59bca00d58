"""Purchases and loads in process: the card, the SAM and the batch engine agree."""

from __future__ import annotations

from card_io.purse import online, purchase
from card_io.purse.application import read_balance, read_journeys, read_log, select_purse
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict

from .conftest import DATE, TIME, channel_to, journey
from .tacs import verdicts

TERMINAL = "310000000001"


def test_load_purchase_and_composite_purchase(issuer: TrainingIssuer) -> None:
    channel = channel_to(issuer.card(1))
    sam, host = issuer.sam(TERMINAL), issuer.host()
    card = select_purse(channel)
    loaded = online.load(channel, card, host, sam.terminal, 5000, DATE, TIME)
    paid = purchase.purchase(channel, card, sam, 350, DATE, TIME)
    entered = purchase.purchase(channel, card, sam, 0, DATE, TIME, cache=[journey()])
    left = purchase.purchase(channel, card, sam, 400, DATE, TIME, cache=[journey(kind=4, amount=400)])

    assert read_balance(channel) == 4250
    assert [record.kind for record in read_journeys(channel)] == [4, 3]
    log = [(record.counter, record.amount, record.txn_type) for record in read_log(channel)]
    assert log == [(3, 400, 9), (2, 0, 9), (1, 350, 6), (1, 5000, 2)]
    assert [debit.pending.terminal_counter for debit in (paid, entered, left)] == [1, 2, 3]
    assert verdicts(issuer, [loaded, paid, entered, left]) == [TacVerdict.VERIFIED] * 4
