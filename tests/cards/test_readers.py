"""Recorded dialogues, scripted cards and replays; the channel's handling of lengths and faults."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_io.apdu import CardChannel, Command, Response
from card_io.purse import purchase
from card_io.purse.application import read_balance, select_purse
from card_io.readers.exchange import Exchange, Step
from card_io.readers.faults import NoCardFault, ProtocolFault, RefusedFault, TornFault
from card_io.readers.recorded import replay, replay_files
from card_io.readers.scripted import ScriptedReader
from card_io.virtual_card.reader import Direction, Tear, VirtualReader
from card_io.virtual_card.training import TrainingIssuer

from .conftest import DATE, TIME, channel_to

BALANCE = Command(0x80, 0x5C, 0, 2, le=4, name="GET BALANCE")


def script(*pairs: tuple[str, str | None]) -> CardChannel:
    steps = [Step(bytes.fromhex(c), None if r is None else bytes.fromhex(r)) for c, r in pairs]
    return CardChannel(ScriptedReader(steps).connect())


class TestExchange:
    steps = st.builds(Step, st.binary(min_size=1, max_size=300), st.none() | st.binary(max_size=300))

    @given(st.lists(steps, max_size=8).map(lambda steps: Exchange(tuple(steps))))
    def test_canonical_bytes_come_back(self, exchange: Exchange) -> None:
        assert Exchange.from_bytes(exchange.to_bytes()) == exchange

    def test_the_bytes_are_what_the_module_says(self) -> None:
        exchange = Exchange((Step(b"\x80\x5c", b"\x90\x00"), Step(b"\x00", None)))
        assert (
            exchange.to_bytes() == b"CCX1" + b"\x00\x02\x80\x5c" + b"\x00\x02\x90\x00" + b"\x00\x01\x00" + b"\xff\xff"
        )
        assert exchange.sha256 == hashlib.sha256(exchange.to_bytes()).hexdigest()

    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, raw: bytes) -> None:
        for candidate in (raw, b"CCX1" + raw):
            try:
                found = Exchange.from_bytes(candidate)
            except ValueError:
                continue
            assert found.to_bytes() == candidate

    @pytest.mark.parametrize("cut", range(4, 16))
    def test_a_cut_recording_is_refused_or_shorter(self, cut: int) -> None:
        whole = Exchange((Step(b"\x80\x5c", b"\x90\x00"), Step(b"\x00", None))).to_bytes()
        assert len(whole) == 17
        if cut in (4, 12):
            assert len(Exchange.from_bytes(whole[:cut]).steps) == (cut - 4) // 8
        else:
            with pytest.raises(ValueError, match="recorded dialogue"):
                Exchange.from_bytes(whole[:cut])


class TestCommand:
    bodies = st.tuples(st.binary(max_size=600), st.none() | st.integers(1, 0x10000))

    @given(bodies)
    def test_a_card_reads_what_a_terminal_wrote(self, body: tuple[bytes, int | None]) -> None:
        data, le = body
        command = Command(0x80, 0x50, 1, 2, data, le)
        assert Command.parse(command.to_bytes()) == command

    @pytest.mark.parametrize(
        ("command", "raw"),
        [
            (Command(0x00, 0x84, 0, 0, le=4), "0084000004"),
            (Command(0x00, 0xB0, 0x95, 0, le=256), "00B0950000"),
            (Command(0x00, 0xA4, 4, 0, b"\xa0\x00", 256), "00A4040002A00000"),
            (Command(0x00, 0xB0, 0, 0, le=1000), "00B000000003E8"),
            (Command(0x00, 0xD6, 0, 0, bytes(2)), "00D60000020000"),
        ],
    )
    def test_the_forms_of_iso_7816(self, command: Command, raw: str) -> None:
        assert command.to_bytes().hex().upper() == raw


class TestChannel:
    def test_more_data_is_fetched(self) -> None:
        channel = script(("805C000204", "6102"), ("00C0000002", "0AC36102"), ("00C0000002", "FFFF9000"))
        assert channel.send(BALANCE) == Response(bytes.fromhex("0AC3FFFF"), 0x9000)

    def test_a_wrong_length_is_corrected_once(self) -> None:
        assert script(("805C000204", "6C02"), ("805C000202", "0AC39000")).send(BALANCE).data.hex() == "0ac3"
        assert script(("805C000204", "6C02"), ("805C000202", "6C02")).send(BALANCE).status == 0x6C02

    def test_more_data_without_end_is_a_protocol_fault(self) -> None:
        with pytest.raises(ProtocolFault, match="without end"):
            script(("805C000204", "6101"), *[("00C0000001", "006101")] * 64).send(BALANCE)

    def test_an_answer_without_status_is_a_protocol_fault(self) -> None:
        with pytest.raises(ProtocolFault, match="no status word") as broken:
            script(("805C000204", "90")).send(BALANCE)
        assert broken.value.exchange.steps[-1].response == b"\x90"

    def test_an_answer_of_another_length_is_a_protocol_fault(self) -> None:
        with pytest.raises(ProtocolFault, match="3 bytes came back, 4 are due"):
            script(("805C000204", "0000009000")).ask(BALANCE, 4)

    def test_a_refusal_names_command_and_meaning(self) -> None:
        with pytest.raises(RefusedFault, match=r"GET BALANCE.*9303") as refused:
            script(("805C000204", "9303")).ask(BALANCE, 4)
        assert refused.value.status == 0x9303
        assert len(refused.value.exchange.steps) == 1

    def test_a_command_the_script_does_not_foresee_fails(self) -> None:
        with pytest.raises(ProtocolFault, match="0084000004 is next"):
            script(("0084000004", "9000")).send(BALANCE)
        with pytest.raises(ProtocolFault, match="nothing more"):
            script().send(BALANCE)

    def test_no_further_card_is_no_card(self) -> None:
        with pytest.raises(NoCardFault):
            ScriptedReader().connect()


class TestReplay:
    def record(self, issuer: TrainingIssuer, tear: Tear | None) -> Exchange:
        reader = VirtualReader(issuer.card(300))
        channel = CardChannel(reader.connect())
        reader.tear = tear
        try:
            select_purse(channel)
            read_balance(channel)
        except TornFault as fault:
            return fault.exchange
        return channel.exchange

    def test_a_recorded_dialogue_runs_again(self, issuer: TrainingIssuer, tmp_path: Path) -> None:
        exchange = self.record(issuer, None)
        (tmp_path / "dialogue").write_bytes(exchange.to_bytes())
        channel = CardChannel(replay_files([tmp_path / "dialogue"]).connect())
        select_purse(channel)
        assert read_balance(channel) == 0
        assert channel.exchange == exchange

    def test_a_broken_dialogue_breaks_again_at_the_same_place(self, issuer: TrainingIssuer) -> None:
        exchange = self.record(issuer, Tear(1, Direction.RESPONSE, 3))
        channel = CardChannel(replay([exchange]).connect())
        select_purse(channel)
        with pytest.raises(TornFault) as torn:
            read_balance(channel)
        assert torn.value.exchange == exchange
        with pytest.raises(NoCardFault):
            read_balance(channel)

    def test_a_file_that_is_no_recording_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"other")
        with pytest.raises(ValueError, match="other: "):
            replay_files([tmp_path / "other"])


def test_a_random_number_makes_every_dialogue_new(issuer: TrainingIssuer) -> None:
    """Replaying a purchase against a real SAM fails: the terminal's number has moved on."""
    card = issuer.card(301)
    sam = issuer.sam("310000000009")
    channel = channel_to(card)
    purchase.purchase(channel, select_purse(channel), sam, 0, DATE, TIME)
    again = CardChannel(replay([channel.exchange]).connect())
    with pytest.raises(ProtocolFault, match="does not foresee 8054"):
        purchase.purchase(again, select_purse(again), sam, 0, DATE, TIME)


ABSENT = """
import importlib, pkgutil, sys
sys.modules["smartcard"] = sys.modules["pkcs11"] = None
import card_io
for module in pkgutil.walk_packages(card_io.__path__, "card_io."):
    importlib.import_module(module.name)
from card_io.readers.faults import ReaderFault
from card_io.readers.pcsc import reader_names
try:
    reader_names()
except ReaderFault as fault:
    sys.exit(0 if "scripts/setup --readers" in str(fault) else 1)
"""


def test_all_but_the_adapters_works_without_pyscard_and_pkcs11() -> None:
    subprocess.run([sys.executable, "-c", ABSENT], check=True)
