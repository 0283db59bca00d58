"""Service terminals on virtual cards: what is charged, written on the card, journaled, and turned away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from card_io.apdu import CardChannel
from card_io.capture import State
from card_io.capture.settings import Place
from card_io.grey import Evidence, decide
from card_io.layouts.commands import PurseLimits
from card_io.layouts.files import LogRecord, Region
from card_io.purse.application import read_balance, read_journeys, select_purse
from card_io.readers.faults import TornFault
from card_io.records import MEDICAL_FIELDS
from card_io.terminals.load import LoadTerminal
from card_io.terminals.medical import MedicalTerminal
from card_io.terminals.quotes import FileMedicalQuotes, QuoteError, QuoteFile
from card_io.terminals.touch import PurseTerminal, TurnedAway
from card_io.terminals.transit import TransitTerminal
from card_io.terminals.utility import UtilityTerminal
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.reader import Direction, Tear, VirtualReader
from card_io.virtual_card.training import TrainingIssuer

from .terminals import Clock, parameters, purse_terminal

MONEY = PurseLimits(cap=100_000, balance=10_000, overdraft_limit=0, overdraft_used=0)
IN, OUT = Place(mode="metro", line=1, station=101), Place(mode="metro", line=1, station=105)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def card(issuer: TrainingIssuer) -> VirtualCard:
    return issuer.card(4711, limits=MONEY)


def balance(card: VirtualCard) -> int:
    channel = CardChannel(VirtualReader(card).connect())
    select_purse(channel)
    return read_balance(channel)


def tap(terminal: TransitTerminal, card: VirtualCard, what: str):
    with terminal.purse.touch(VirtualReader(card)) as touch:
        return getattr(terminal, what)(touch)


def test_in_and_out_of_the_metro(tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock) -> None:
    purse = purse_terminal(tmp_path, issuer, clock)
    entered = tap(TransitTerminal(purse, IN), card, "enter")
    assert (entered.amount, balance(card)) == (0, 10_000)
    with pytest.raises(TurnedAway, match="inside"):
        tap(TransitTerminal(purse, IN), card, "enter")
    clock.forward(1500)
    left = tap(TransitTerminal(purse, OUT), card, "leave")
    assert (left.amount, left.balance_after, balance(card)) == (300, 9_700, 9_700)
    assert left.facts == {"gross": 300, "transfer": 0, "incomplete": 0, "entry": 101, "exit": 105, "class": 0}
    transactions = list(purse.point.state.transactions.values())
    assert [each.delivered for each in transactions] == [False, True]
    record = transactions[1].columns
    assert (record["entry_station"], record["exit_station"], record["txn_type"]) == (101, 105, 9)
    assert record["entry_time"] == clock.ns // 10**9 - 1500
    assert record["card_counter"] == transactions[0].columns["card_counter"] + 1
    again = tap(TransitTerminal(purse, OUT), card, "leave")
    assert (again.amount, again.facts["incomplete"]) == (900, 1)


def test_a_concession_class_is_read_from_the_card(tmp_path: Path, issuer: TrainingIssuer, clock: Clock) -> None:
    card = issuer.card(4712, limits=MONEY)
    region = Region.decode(card.memory.file_17)
    card.memory = replace(card.memory, file_17=replace(region, card_kind=2).encode())
    purse = purse_terminal(tmp_path, issuer, clock)
    tap(TransitTerminal(purse, IN), card, "enter")
    left = tap(TransitTerminal(purse, OUT), card, "leave")
    assert (left.amount, left.facts["gross"], left.facts["class"]) == (0, 300, 2)


def test_a_transfer_is_seen_on_the_card(
    tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock
) -> None:
    first, second = Place(mode="bus", line=7), Place(mode="bus", line=9)
    one = purse_terminal(tmp_path / "1", issuer, clock)
    two = purse_terminal(tmp_path / "2", issuer, clock, number="310400000002")
    fares = []
    for purse, place, later in [(one, first, 0), (two, second, 1200), (one, first, 600), (one, first, 600)]:
        clock.forward(later)
        fares.append(tap(TransitTerminal(purse, place), card, "ride").amount)
    # A transfer does not lead to a further one, nor does the same line again.
    assert fares == [200, 160, 200, 200]
    clock.forward(3601)
    assert tap(TransitTerminal(two, second), card, "ride").amount == 200
    channel = CardChannel(VirtualReader(card).connect())
    select_purse(channel)
    journeys = read_journeys(channel)
    assert [each.amount for each in journeys] == [200, 200, 200, 160, 200]
    assert [each.balance for each in journeys] == [9_040, 9_240, 9_440, 9_640, 9_800]


def test_who_is_turned_away_pays_nothing(
    tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock
) -> None:
    listed = purse_terminal(tmp_path / "1", issuer, clock, active=parameters(blacklist=frozenset({number_of(card)})))
    with pytest.raises(TurnedAway, match="blacklist"):
        tap(TransitTerminal(listed, Place(mode="bus", line=7)), card, "ride")
    assert [entry.body["why"] for entry in listed.point.journal.entries] == ["blacklisted"]
    poor = issuer.card(4713, limits=replace(MONEY, balance=100))
    purse = purse_terminal(tmp_path / "2", issuer, clock, number="310400000002")
    with pytest.raises(TurnedAway, match="money"):
        tap(TransitTerminal(purse, Place(mode="bus", line=7)), poor, "ride")
    with pytest.raises(TurnedAway, match="fare"):
        tap(TransitTerminal(purse, Place(mode="metro", line=1, station=999)), card, "leave")
    assert purse.point.state.transactions == {}
    assert balance(card) == 10_000


def number_of(card: VirtualCard) -> str:
    return select_purse(CardChannel(VirtualReader(card).connect())).card_number


def test_medical_shows_the_split_and_takes_the_persons_part(
    tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock
) -> None:
    columns = {field.name: 0 for field in MEDICAL_FIELDS}
    columns |= {"medfee_sumamt": 10_000, "inscp_scp_amt": 10_000, "hifp_pay": 7_000, "fund_pay_sumamt": 7_000}
    columns |= {"psn_part_amt": 3_000, "acct_pay": 1_000, "psn_cash_pay": 2_000, "settlement_id": 5}
    (tmp_path / "quote.json").write_text(json.dumps({"medical": columns}))
    purse = purse_terminal(tmp_path / "t", issuer, clock)
    shown: list[list[tuple[str, int]]] = []
    quotes = FileMedicalQuotes(tmp_path / "quote.json")
    terminal = MedicalTerminal(purse, quotes)
    with purse.touch(VirtualReader(card)) as touch:
        with pytest.raises(TurnedAway, match="own part"):
            terminal.settle(touch, from_purse=2_001)
        assert quotes.cancelled
        receipt = terminal.settle(touch, show=lambda quote: shown.append(quote.split()))
    assert shown[0][1:] == [("hifp_pay", 7_000), ("acct_pay", 1_000), ("psn_cash_pay", 2_000)]
    assert (receipt.amount, balance(card)) == (2_000, 8_000)
    with purse.touch(VirtualReader(card)) as touch:
        free = terminal.settle(touch, from_purse=0)
    [first, second] = purse.point.state.transactions.values()
    assert (first.columns["txn_type"], second.columns["txn_type"], free.amount) == (6, 0, 0)
    assert (first.state, second.state) == (State.DEBITED, State.DEBITED)
    del columns["hifp_pay"]
    (tmp_path / "quote.json").write_text(json.dumps({"medical": columns}))
    with pytest.raises(QuoteError, match="hifp_pay"):
        FileMedicalQuotes(tmp_path / "quote.json").quote("")


def test_several_bills_one_debit(tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock) -> None:
    bill = {"utility_id": 611, "bill_id": 1, "commodity": 1, "account": 9, "period": 202602}
    bill |= {"household_size": 3, "usage": 12_000, "bill_amount": 3_450}
    (tmp_path / "quote.json").write_text(json.dumps({"bills": [bill, {**bill, "bill_id": 2, "bill_amount": 550}]}))
    purse = purse_terminal(tmp_path / "t", issuer, clock)
    with purse.touch(VirtualReader(card)) as touch:
        receipt = UtilityTerminal(purse, QuoteFile(tmp_path / "quote.json")).pay(touch)
    assert (receipt.amount, receipt.facts, balance(card)) == (4_000, {"bills": 2}, 6_000)
    [transaction] = purse.point.state.transactions.values()
    assert [each["bill_amount"] for each in transaction.bills] == [3_450, 550]


def test_loads_and_benefits(tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock) -> None:
    grants = {"benefits": {number_of(card): [{"benefit_id": 1, "amount": 500}, {"benefit_id": 2, "amount": 700}]}}
    (tmp_path / "grants.json").write_text(json.dumps(grants))
    purse = purse_terminal(tmp_path / "t", issuer, clock)
    terminal = LoadTerminal(purse, issuer.host(), QuoteFile(tmp_path / "grants.json"))
    with purse.touch(VirtualReader(card)) as touch:
        assert terminal.load(touch, 5_000).balance_after == 15_000
        assert [each.facts["benefit_id"] for each in terminal.write_down(touch)] == [1, 2]
        with pytest.raises(TurnedAway, match="due"):
            terminal.write_down(touch)
    assert balance(card) == 16_200
    assert [each.columns["benefit_id"] for each in purse.point.state.transactions.values() if each.amount < 1_000]


def torn_ride(purse: PurseTerminal, card: VirtualCard, direction: Direction, byte: int) -> None:
    """A bus ride whose DEBIT is torn."""
    reader = VirtualReader(card)
    with purse.touch(reader) as touch:
        before = len(touch.channel.exchange.steps)
        reader.tear = Tear(debit_command(purse, touch) - before, direction, byte)
        TransitTerminal(purse, Place(mode="bus", line=7)).ride(touch)


def debit_command(purse: PurseTerminal, touch) -> int:
    """Number of a ride's DEBIT: behind file 17, newest journey, balance, INITIALIZE, cache."""
    return len(touch.channel.exchange.steps) + 5


@pytest.mark.parametrize(
    ("direction", "byte", "moved"),
    [(Direction.COMMAND, 3, False), (Direction.COMMAND, 999, False), (Direction.RESPONSE, 0, True)],
)
@pytest.mark.parametrize("elsewhere", [0, 1, 12])
def test_a_torn_debit_is_decided_by_the_card(
    tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock, direction: Direction, byte: int,
    moved: bool, elsewhere: int,
) -> None:  # fmt: skip
    purse = purse_terminal(tmp_path / "1", issuer, clock)
    with pytest.raises(TornFault):
        torn_ride(purse, card, direction, byte)
    assert balance(card) == 10_000 - 200 * moved
    [grey] = purse.point.state.grey()
    other = purse_terminal(tmp_path / "2", issuer, clock, number="310400000002")
    for _ in range(elsewhere):
        clock.forward(4000)
        tap(TransitTerminal(other, Place(mode="bus", line=8)), card, "ride")
    with purse.touch(VirtualReader(card)) as touch:
        [(number, verdict)] = touch.settled
    assert number == grey.number
    if elsewhere == 12:
        assert verdict.by == "log_overwritten"
        assert purse.point.state.grey() == [grey]
    elif not moved:
        assert (grey.state, verdict.by) == (State.NOT_DEBITED, "counter" if elsewhere == 0 else "log")
    else:
        assert (grey.state, verdict.by) == (State.DEBITED, "prove" if elsewhere == 0 else "log")
        assert (grey.columns["tac"] is not None) == (elsewhere == 0)
        assert grey.columns["balance_after"] == 9_800


def test_a_torn_load_is_decided_by_the_card(
    tmp_path: Path, issuer: TrainingIssuer, card: VirtualCard, clock: Clock
) -> None:
    purse = purse_terminal(tmp_path, issuer, clock)
    terminal = LoadTerminal(purse, issuer.host())
    for direction, moved in ((Direction.COMMAND, False), (Direction.RESPONSE, True)):
        before = balance(card)
        with pytest.raises(TornFault):
            torn_load(terminal, card, direction)
        assert balance(card) - before == 1_000 * moved
        with purse.touch(VirtualReader(card)) as touch:
            [(number, verdict)] = touch.settled
        decided = purse.point.state.transactions[number]
        assert (decided.state, verdict.by) == ((State.DEBITED, "prove") if moved else (State.NOT_DEBITED, "counter"))
        assert (decided.columns["tac"] if moved else "no tac") is not None


def torn_load(terminal: LoadTerminal, card: VirtualCard, direction: Direction) -> None:
    """A load whose CREDIT is torn."""
    reader = VirtualReader(card)
    with terminal.purse.touch(reader) as touch:
        reader.tear = Tear(1, direction, 0)
        terminal.load(touch, 1_000)


OURS = LogRecord(
    counter=8, overdraft_limit=0, amount=200, txn_type=6, terminal="310400000001", date4=0x20260302, time3=0x080000
)
GREY = {
    "card_counter": 7, "amount": 200, "txn_type": 6, "terminal_id": 0x310400000001, "date4": 0x20260302,
    "time3": 0x080000,
}  # fmt: skip
OTHER = replace(OURS, terminal="310400000002")


@pytest.mark.parametrize(
    ("counter", "tac", "log", "state", "by"),
    [
        (7, None, (), State.NOT_DEBITED, "counter"),
        (7, b"taca", (OURS,), State.NOT_DEBITED, "counter"),
        (6, b"taca", (OURS,), None, "counter_contradicts"),
        (8, b"taca", (OURS,), State.DEBITED, "prove"),
        (8, None, (OURS,), State.DEBITED, "log"),
        # Another transaction of the same type took the counter: its proof is not ours.
        (8, b"taca", (OTHER,), State.NOT_DEBITED, "log"),
        (8, b"taca", None, None, "proof_without_log"),
        (8, None, None, None, "log_unreadable"),
        (9, b"taca", (replace(OTHER, counter=9), OURS), State.DEBITED, "log"),
        (20, None, (replace(OTHER, counter=20),), None, "log_overwritten"),
        (None, None, None, None, "log_unreadable"),
    ],
)
def test_the_decision(counter: int | None, tac: bytes | None, log, state: State | None, by: str) -> None:
    verdict = decide(GREY, Evidence(counter, tac, log))
    assert (verdict.state, verdict.by) == (state, by)
    assert (verdict.tac is not None) == (by in ("prove", "proof_without_log"))
