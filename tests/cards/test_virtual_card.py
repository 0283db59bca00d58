"""The virtual card by itself: arithmetic of JT/T 1356, log, counters, MACs, PIN, blocking, cache, prove."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_io.apdu import CardChannel, Command
from card_io.layouts.applications import read_fci
from card_io.layouts.commands import PurseLimits
from card_io.layouts.files import IndustryRecord
from card_io.purse import maintenance, online, purchase
from card_io.purse.application import (
    PurseCard,
    read_balance,
    read_binary,
    read_industry,
    read_journeys,
    read_limits,
    read_log,
    read_record,
    select_purse,
)
from card_io.purse.proof import prove
from card_io.readers.faults import RefusedFault
from card_io.records import Algorithm, TxnType
from card_io.sam.port import CardReference
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.memory import CardMemory
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict

from .conftest import DATE, TIME, Answered, channel_to, journey
from .tacs import verdicts

TERMINAL = "310000000003"
PIN = b"\x12\x34\x56"


def limits(cap: int, balance: int, limit: int, used: int) -> PurseLimits:
    return PurseLimits(cap=cap, balance=balance, overdraft_limit=limit, overdraft_used=used)


CORNERS = [
    limits(0xFFFFFF, 0xFFFFFF, 0, 0),
    limits(0xFFFFFF, 0, 0, 0),
    limits(0xFFFF88, 0xFFFF00, 0x77, 0),
    limits(0x8FFFFF, 0x00FFFF, 0x700000, 0),
    limits(0xFFFF00, 0x07FF01, 0xFF, 0),
    limits(0xFFF8FF, 0x000FFF, 0x700, 0),
]
"""The six corner cards of JT/T 1356.1 K1 (`card-standards.md` §2.3)."""


class Bench:
    """One card, its channel, a SAM and the host."""

    def __init__(self, issuer: TrainingIssuer, card: VirtualCard) -> None:
        self.card = card
        self.channel = channel_to(card)
        self.sam = issuer.sam(TERMINAL)
        self.host = issuer.host()
        self.purse = select_purse(self.channel)

    @property
    def memory(self) -> CardMemory:
        return self.card.memory

    def pay(self, amount: int) -> purchase.Debit:
        return purchase.purchase(self.channel, self.purse, self.sam, amount, DATE, TIME)

    def load(self, amount: int) -> online.Credited:
        return online.load(self.channel, self.purse, self.host, self.sam.terminal, amount, DATE, TIME)

    def key(self) -> CardReference:
        return maintenance.key_reference(self.purse, 1, 1, Algorithm.TDES)

    def status(self, command: str) -> int:
        return self.channel.send(Command.parse(bytes.fromhex(command))).status


@pytest.fixture
def bench(issuer: TrainingIssuer) -> Bench:
    made = Bench(issuer, issuer.card(100))
    made.load(10_000)
    return made


def refused(status: int) -> pytest.RaisesExc[RefusedFault]:
    return pytest.raises(RefusedFault, check=lambda fault: fault.status == status)


class TestMoney:
    @pytest.mark.parametrize("corner", CORNERS, ids=str)
    def test_corner_cards_give_all_they_have_and_not_a_fen_more(
        self, issuer: TrainingIssuer, corner: PurseLimits
    ) -> None:
        bench = Bench(issuer, issuer.card(101, limits=corner))
        whole = corner.balance + corner.overdraft_limit - corner.overdraft_used
        assert read_limits(bench.channel) == corner
        assert read_balance(bench.channel) == whole
        with refused(0x9401):
            bench.pay(whole + 1)
        bench.pay(whole)
        spent = read_limits(bench.channel)
        assert spent == limits(corner.cap, 0, corner.overdraft_limit, corner.overdraft_limit)
        if corner.overdraft_limit:
            bench.load(corner.overdraft_limit)
        with refused(0x6985):
            bench.load(corner.cap + 1)
        bench.load(corner.cap)
        full = read_limits(bench.channel)
        assert full == limits(corner.cap, corner.cap, corner.overdraft_limit, 0)
        assert full.violations() == ()

    @pytest.mark.external
    def test_every_calibration_card(self, issuer: TrainingIssuer, shared_data: Path, answered: Answered) -> None:
        document = json.loads((shared_data / "cards" / "jtt1356-calibration-cards.json").read_text("utf-8"))
        names = ("cap", "balance", "overdraft_limit", "overdraft_used")
        for case in document["cases"]:
            given_limits = PurseLimits(**{name: int(case[name], 16) for name in names})
            channel = channel_to(issuer.card(102, limits=given_limits))
            select_purse(channel)
            assert read_limits(channel) == given_limits
        answered(len(document["cases"]))

    @given(
        cap=st.integers(0, 5000),
        limit=st.integers(0, 500),
        moves=st.lists(st.tuples(st.booleans(), st.integers(0, 6000)), max_size=12),
    )
    def test_no_order_of_moves_breaks_a_rule(
        self, memory_of_a_card: CardMemory, cap: int, limit: int, moves: list[tuple[bool, int]]
    ) -> None:
        memory = replace(memory_of_a_card, limits=limits(cap, 0, limit, 0))
        available = limit
        for pays, amount in moves:
            if pays and amount <= memory.available:
                memory, available = memory.debited(amount), available - amount
            elif not pays:
                try:
                    memory = memory.credited(amount)
                except ValueError:
                    assert memory.limits.balance - memory.limits.overdraft_used + amount > cap
                else:
                    available += amount
            assert memory.available == available
            assert memory.limits.violations() == ()

    def test_an_overdraft_limit_is_set_and_proved(self, issuer: TrainingIssuer, bench: Bench) -> None:
        started = online.initialise_limit_change(bench.channel, bench.purse, bench.sam.terminal, 800)
        changed = online.set_limit(bench.channel, online.authorise(bench.host, started, DATE, TIME))

        assert read_limits(bench.channel) == limits(100_000, 10_000, 800, 0)
        assert read_balance(bench.channel) == 10_800 == started.balance_after
        proof = prove(bench.channel, TxnType.OVERDRAFT_LIMIT, started.online_counter)
        assert proof is not None
        assert proof.tac == changed.tac
        bench.pay(10_500)
        started = online.initialise_limit_change(bench.channel, bench.purse, bench.sam.terminal, 499)
        with refused(0x6985):
            online.set_limit(bench.channel, online.authorise(bench.host, started, DATE, TIME))

    def test_unload_pays_out_only_against_mac3(self, bench: Bench) -> None:
        started = online.initialise_unload(bench.channel, bench.purse, bench.sam.terminal, 4000)
        online.give_up(bench.channel, bench.host, online.authorise(bench.host, started, DATE, TIME))
        assert read_balance(bench.channel) == 6000
        assert [(record.txn_type, record.amount) for record in read_log(bench.channel)] == [(3, 4000), (2, 10_000)]
        with refused(0x9401):
            online.initialise_unload(bench.channel, bench.purse, bench.sam.terminal, 6001)


class TestMacs:
    def test_a_wrong_mac1_moves_nothing(self, bench: Bench) -> None:
        started = purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100)
        pending = purchase.authorise(bench.sam, started, DATE, TIME)
        before = bench.memory
        for forged in (replace(pending, mac1=bytes(4)), replace(pending, time3=0x081531)):
            with refused(0x9302):
                purchase.debit(bench.channel, bench.sam, forged)
            assert bench.memory == before
            purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100)

    def test_a_mac_serves_one_initialisation_only(self, bench: Bench) -> None:
        started = purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100)
        pending = purchase.authorise(bench.sam, started, DATE, TIME)
        purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100)
        with refused(0x9302):
            purchase.debit(bench.channel, bench.sam, pending)

    def test_a_debit_cannot_be_sent_again(self, bench: Bench) -> None:
        done = bench.pay(100)
        with refused(0x6901):
            purchase.debit(bench.channel, bench.sam, done.pending)
        assert read_balance(bench.channel) == 9900

    def test_a_wrong_mac2_of_the_host_loads_nothing(self, bench: Bench) -> None:
        started = online.initialise_load(bench.channel, bench.purse, bench.sam.terminal, 100)
        pending = online.authorise(bench.host, started, DATE, TIME)
        with refused(0x9302):
            online.credit(bench.channel, replace(pending, mac2=bytes(4)))
        assert read_balance(bench.channel) == 10_000

    def test_any_other_command_gives_the_transaction_up(self, bench: Bench) -> None:
        started = purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100)
        pending = purchase.authorise(bench.sam, started, DATE, TIME)
        read_balance(bench.channel)
        with refused(0x6901):
            purchase.debit(bench.channel, bench.sam, pending)

    def test_a_key_index_the_card_does_not_have(self, bench: Bench) -> None:
        with refused(0x9403):
            purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 100, key_index=7)

    def test_the_unproven_sm4_profile_holds_together(
        self, tmp_path_factory: pytest.TempPathFactory, issuer: TrainingIssuer
    ) -> None:
        from card_io.keys.algorithm import KeyAlgorithm

        path = tmp_path_factory.mktemp("sm4") / "keystore.json"
        sm4 = TrainingIssuer.create(path, "sm4", algorithm=KeyAlgorithm.SM4, scrypt_n=2)
        bench = Bench(sm4, sm4.card(103))
        loaded, paid = bench.load(1000), bench.pay(300)
        assert paid.pending.purchase.algorithm is Algorithm.SM4
        assert read_balance(bench.channel) == 700
        key = maintenance.key_reference(bench.purse, 1, 1, Algorithm.SM4)
        maintenance.block(bench.channel, bench.host, key, DATE)
        assert loaded.pending.started.algorithm is Algorithm.SM4


class TestLogAndCounters:
    def test_the_log_keeps_the_last_ten(self, bench: Bench) -> None:
        for amount in range(1, 13):
            bench.pay(amount)
        log = read_log(bench.channel)
        assert [record.amount for record in log] == list(range(12, 2, -1))
        assert [record.counter for record in log] == list(range(12, 2, -1))
        assert {record.terminal for record in log} == {TERMINAL}
        assert read_record(bench.channel, 0x18, 11) is None

    def test_a_counter_at_its_end_refuses(self, issuer: TrainingIssuer) -> None:
        card = issuer.card(104, limits=limits(100_000, 500, 0, 0))
        card.memory = replace(card.memory, offline_counter=0xFFFE, online_counter=0xFFFE)
        bench = Bench(issuer, card)
        bench.pay(1)
        bench.load(1)
        with refused(0x9402):
            bench.pay(1)
        with refused(0x9402):
            bench.load(1)
        assert bench.memory.offline_counter == bench.memory.online_counter == 0xFFFF

    def test_prove_answers_for_the_last_of_its_counter_only(self, bench: Bench) -> None:
        first, second = bench.pay(100), bench.pay(200)
        loaded = bench.load(50)
        counters = [each.pending.purchase.offline_counter for each in (first, second)]
        proof = prove(bench.channel, TxnType.PURSE_PURCHASE, counters[1])
        assert proof is not None
        assert (proof.mac, proof.tac) == (second.mac2, second.tac)
        assert prove(bench.channel, TxnType.PURSE_PURCHASE, counters[0]) is None
        assert prove(bench.channel, TxnType.COMPOSITE_PURCHASE, counters[1]) is None
        of_load = prove(bench.channel, TxnType.PURSE_LOAD, loaded.pending.started.online_counter)
        assert of_load is not None
        assert of_load.tac == loaded.tac


class TestCompositePurchase:
    def test_records_are_written_with_the_debit_or_never(self, bench: Bench) -> None:
        _, slot = read_industry(bench.channel, "2701") or pytest.fail("no slot 2701")
        entered = IndustryRecord(**{**vars_of(slot), "state": 1, "entry_station": 12, "maximum_fare": 800})
        started = purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 0, composite=True)
        purchase.write_cache(bench.channel, [entered, journey()])
        assert read_journeys(bench.channel) == ()  # and this READ has given the transaction up
        with refused(0x6901):
            purchase.debit(bench.channel, bench.sam, purchase.authorise(bench.sam, started, DATE, TIME))
        assert read_industry(bench.channel, "2701") == (1, slot)

        purchase.purchase(bench.channel, bench.purse, bench.sam, 0, DATE, TIME, cache=[entered, journey()])
        assert read_industry(bench.channel, "2701") == (1, entered)
        assert read_journeys(bench.channel) == (journey(),)
        assert read_log(bench.channel)[0].txn_type == 9

    def test_a_locked_slot_and_an_unknown_one_are_refused(self, bench: Bench) -> None:
        _, slot = read_industry(bench.channel, "2702") or pytest.fail("no slot 2702")
        locked = IndustryRecord(**{**vars_of(slot), "locked": 1})
        bench.card.memory = bench.memory.with_industry(locked.encode())
        purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 0, composite=True)
        with refused(0x6974):
            purchase.write_cache(bench.channel, [slot])
        purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 0, composite=True)
        with refused(0x6A83):
            purchase.write_cache(bench.channel, [IndustryRecord(**{**vars_of(slot), "tag": "2799"})])

    def test_the_cache_is_for_composite_purchases_only(self, bench: Bench) -> None:
        with refused(0x6901):
            purchase.write_cache(bench.channel, [journey()])
        purchase.initialise(bench.channel, bench.purse, bench.sam.terminal, 10)
        with refused(0x6901):
            purchase.write_cache(bench.channel, [journey()])

    def test_the_oldest_of_thirty_journeys_gives_way(self, bench: Bench) -> None:
        for site in range(32):
            record = journey(site=f"{site:06d}")
            purchase.purchase(bench.channel, bench.purse, bench.sam, 0, DATE, TIME, cache=[record])
        assert [int(record.site) for record in read_journeys(bench.channel)] == list(range(31, 1, -1))


class TestPinAndBlocking:
    @pytest.fixture
    def guarded(self, issuer: TrainingIssuer) -> Bench:
        return Bench(issuer, issuer.card(105, pin=PIN))

    def test_a_load_asks_for_the_pin(self, guarded: Bench) -> None:
        with refused(0x6982):
            guarded.load(100)
        maintenance.verify_pin(guarded.channel, PIN)
        guarded.load(100)
        select_purse(guarded.channel)
        with refused(0x6982):
            guarded.load(100)
        guarded.pay(30)

    def test_three_wrong_pins_lock_it_and_the_issuer_reloads_it(self, guarded: Bench) -> None:
        for left in (2, 1, 0):
            with refused(0x63C0 | left):
                maintenance.verify_pin(guarded.channel, b"\x00\x00\x00")
        with refused(0x6983):
            maintenance.verify_pin(guarded.channel, PIN)
        maintenance.reload_pin(guarded.channel, guarded.host, guarded.key(), DATE, b"\x65\x43\x21")
        maintenance.verify_pin(guarded.channel, b"\x65\x43\x21")
        maintenance.change_pin(guarded.channel, b"\x65\x43\x21", PIN)
        maintenance.verify_pin(guarded.channel, PIN)

    def test_a_wrong_pin_is_counted_before_the_answer_leaves(self, guarded: Bench) -> None:
        """Pulling the card out at once gives no free guess."""
        guarded.card.transmit(bytes.fromhex("0020000003000000"))
        guarded.card.reset()
        assert guarded.memory.pin_tries == 2

    def test_a_block_stops_money_and_an_unblock_lets_it_go_on(self, bench: Bench) -> None:
        maintenance.block(bench.channel, bench.host, bench.key(), DATE)
        with refused(0x9303):
            bench.pay(1)
        with refused(0x9303):
            bench.load(1)
        assert select_purse(bench.channel).blocked
        assert read_balance(bench.channel) == 10_000
        maintenance.unblock(bench.channel, bench.host, bench.key(), DATE)
        bench.pay(1)
        with refused(0x6985):
            maintenance.unblock(bench.channel, bench.host, bench.key(), DATE)

    def test_a_block_for_ever_stays(self, bench: Bench) -> None:
        maintenance.block(bench.channel, bench.host, bench.key(), DATE, permanent=True)
        with refused(0x9303):
            select_purse(bench.channel)
        with refused(0x6985):
            maintenance.unblock(bench.channel, bench.host, bench.key(), DATE)

    def test_three_wrong_maintenance_macs_block_for_ever(self, bench: Bench) -> None:
        for status in (0x6988, 0x6988, 0x9303):
            bench.channel.send(Command(0x00, 0x84, 0, 0, le=4))
            assert bench.status("841E00000400000000") == status
        with refused(0x9303):
            select_purse(bench.channel)

    def test_a_mac_needs_a_fresh_challenge(self, bench: Bench) -> None:
        assert bench.status("841E00000400000000") == 0x6984
        bench.channel.send(Command(0x00, 0x84, 0, 0, le=4))
        read_balance(bench.channel)
        assert bench.status("841E00000400000000") == 0x6984

    def test_files_are_updated_under_a_mac(self, bench: Bench) -> None:
        before = read_binary(bench.channel, 0x17)
        maintenance.update_binary(bench.channel, bench.host, bench.key(), DATE, 0x17, 10, b"\x02")
        assert read_binary(bench.channel, 0x17) == before[:10] + b"\x02" + before[11:]
        maintenance.update_binary(bench.channel, bench.host, bench.key(), DATE, 0x06, 0, b"\x20\x26")
        assert read_binary(bench.channel, 0x06) == b"\x20\x26" + bytes(30)
        _, slot = read_industry(bench.channel, "2703") or pytest.fail("no slot 2703")
        changed = IndustryRecord(**{**vars_of(slot), "locked": 1})
        maintenance.update_record(bench.channel, bench.host, bench.key(), DATE, 0x1A, 3, changed.encode())
        assert read_industry(bench.channel, "2703") == (3, changed)


STATUSES = [
    ("00A4040003A0000001", 0x6A82),
    ("00A4000002 3F00", 0x6A86),
    ("805C000104", 0x6A86),
    ("805C060204", 0x6A86),
    ("00B095 00 1F", 0x6C1E),
    ("00B095 1E 01", 0x6B00),
    ("00B089 00 00", 0x6A82),
    ("00B098 00 00", 0x6981),
    ("00B201AC00", 0x6981),
    ("00B200C400", 0x6A83),
    ("00B201C417", 0x9000),
    ("00B201C410", 0x6C17),
    ("80500102 0A 01000000C8000041599997", 0x6700),
    ("80500902 0B 01000000C8000041599997 0F", 0x6A86),
    ("805401000F" + "00" * 15 + "08", 0x6901),
    ("805A0006 02 0001 08", 0x9406),
    ("805A0106 02 0001 08", 0x6A86),
    ("80FF0000", 0x6D00),
    ("F0A40000", 0x6E00),
    ("00A404", 0x6700),
    ("00A40400 05 A0", 0x6700),
    ("0020000003123456", 0x6A88),
    ("0084000003", 0x6700),
]


@pytest.mark.parametrize(("command", "status"), STATUSES)
def test_what_the_card_refuses(issuer: TrainingIssuer, command: str, status: int) -> None:
    card = issuer.card(106)
    card.transmit(bytes.fromhex("00A4040008A00000063201010500"))
    response = card.transmit(bytes.fromhex(command.replace(" ", "")))
    assert response[-2:].hex() == f"{status:04x}"


@given(raw=st.one_of(st.binary(max_size=40), st.binary(min_size=2, max_size=40).map(lambda tail: b"\x80" + tail)))
def test_no_bytes_break_the_card_or_move_its_money(memory_of_a_card: CardMemory, raw: bytes) -> None:
    card = VirtualCard(memory_of_a_card)
    card.transmit(bytes.fromhex("00A4040008A00000063201010500"))
    assert len(card.transmit(raw)) >= 2
    assert card.memory.limits == memory_of_a_card.limits


def test_it_says_who_it_is(issuer: TrainingIssuer) -> None:
    card = issuer.card(107)
    channel = channel_to(card)
    purse: PurseCard = select_purse(channel)
    assert purse.card_number == "3100000000000000107"
    assert purse.issuer_id.hex().upper() == issuer.issuer_id
    assert read_binary(channel, 0x15) == purse.file_15
    directory = channel.ask(Command(0x00, 0xA4, 0x04, 0x00, b"2PAY.SYS.DDF01", 0x100))
    assert read_fci(directory).application.family == "directory"
    with refused(0x6985):
        read_balance(channel)


def test_the_batch_engine_verifies_a_mixed_day(issuer: TrainingIssuer) -> None:
    proved: list[purchase.Debit | online.Credited] = []
    for number in range(20):
        bench = Bench(issuer, issuer.card(200 + number))
        proved.append(bench.load(1000 + number))
        proved += [bench.pay(number), bench.pay(200)]
    assert verdicts(issuer, proved) == [TacVerdict.VERIFIED] * 60
    forged = [replace(each, tac=bytes(4)) for each in proved]
    assert verdicts(issuer, forged) == [TacVerdict.FAILED] * 60


def vars_of(record: IndustryRecord) -> dict[str, object]:
    return {spec.name: getattr(record, spec.name) for spec in record.FIELDS}


def test_channel_of_a_session(issuer: TrainingIssuer) -> None:
    """61xx and 6Cxx are followed on the way."""
    channel: CardChannel = channel_to(issuer.card(108))
    select_purse(channel)
    assert channel.ask(Command(0x00, 0xB2, 1, 0xC4, le=0x10), 23) == bytes(23)
    assert [step.command[-1] for step in channel.exchange.steps[-2:]] == [0x10, 0x17]
