"""The command ``card`` against the real daemon: readers, read, capture, deliver, exchange, self-test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from card_io.cli import app
from card_io.layouts.commands import PurseLimits
from card_io.messages import _TEXTS, Messages

from .circle import PASSPHRASE, Circle
from .virtual_readers import VirtualReaders

MONEY = PurseLimits(cap=100_000, balance=5_000, overdraft_limit=0, overdraft_used=0)
RUN = CliRunner()


def said(*arguments: object, code: int = 0) -> str:
    result = RUN.invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def test_a_terminals_day(tmp_path: Path, readers: VirtualReaders) -> None:
    circle = Circle.create(tmp_path)
    circle.register([21])
    bus = {"mode": "bus", "line": 7}
    circle.station("310400000009", 211, 210, ["transit"], place=bus).close()
    circle.publish()
    folder = tmp_path / "310400000009"
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    card = circle.issuer.card(21, limits=MONEY)
    inserted = readers.insert(card)
    try:
        assert json.loads(said("readers", "--json"))["readers"] == readers.names
        found = json.loads(said("read", "--json", "--reader", readers.name(0)))
        assert (found["card"], found["balance_fen"], found["log"]) == ("310000****0021", 5_000, [])
        for language, word in (("zh", "余额"), ("en", "balance")):
            text = said("read", "--lang", language, "--reader", readers.name(0))
            assert word in text.lower()
            assert "3100000000000000021" not in text
        refused = RUN.invoke(
            app, ["capture", str(folder), "--service", "load", "--passphrase-file", str(tmp_path / "passphrase")]
        )
        assert "does not capture load" in str(refused.exception)
    finally:
        inserted.remove()


def test_cards_are_served_one_after_another(tmp_path: Path, readers: VirtualReaders) -> None:
    """`card capture` as a process of its own: a card left on the reader rides once; the next one is waited for."""
    circle = Circle.create(tmp_path)
    circle.register([31, 32])
    circle.station("310400000009", 211, 210, ["transit"], place={"mode": "bus", "line": 7}).close()
    circle.publish()
    folder = tmp_path / "310400000009"
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    command = [sys.executable, "-c", "from card_io.cli import main; main()", "capture", str(folder)]
    options = ["--service", "transit", "--count", "2", "--json", "--reader", readers.name(0)]
    unlocked = ["--passphrase-file", str(tmp_path / "passphrase")]
    cards = [circle.issuer.card(number, limits=MONEY) for number in (31, 32)]
    with subprocess.Popen([*command, *options, *unlocked], stdout=subprocess.PIPE, text=True) as process:
        for taken, card in enumerate(cards, 1):
            inserted = readers.insert(card)
            deadline = time.monotonic() + 60
            while len(exchanges_of(folder)) < taken and process.poll() is None:
                assert time.monotonic() < deadline, "the terminal does not serve the card"
                time.sleep(0.1)
            # Left on the reader a little longer: it rides once.
            time.sleep(0.5)
            inserted.remove()
        assert process.stdout is not None
        receipts = json.loads(process.stdout.read())["taken"]
    assert process.returncode == 0
    assert [(each["card"], each["amount_fen"]) for each in receipts] == [
        ("310000****0031", 200),
        ("310000****0032", 200),
    ]
    assert len(exchanges_of(folder)) == 2


def test_captured_delivered_and_named(tmp_path: Path, issuer_free: Circle) -> None:
    circle = issuer_free
    folder = circle.folder / "310400000009"
    waiting = json.loads(said("deliver", folder, "--list", "--json", code=1))
    assert (waiting["unsent_rows"], waiting["unsent_fen"], waiting["waiting"]) == (1, 200, [])
    assert "未报送 1 笔" in said("deliver", folder, "--list", code=1)
    text = said("deliver", folder, "--lang", "en", code=1)
    assert "waits for the centre (1 rows, 2.00 yuan)" in text
    [[_, found]] = exchanges_of(folder)
    told = json.loads(said("exchange", folder, found, "--json"))
    assert told["steps"][0][0].startswith("00a40400")
    assert "8054" in said("exchange", folder, found)
    said("exchange", folder, "0" * 64, code=1)


@pytest.fixture
def issuer_free(tmp_path: Path) -> Circle:
    """A circle in which one bus ride was captured and not delivered."""
    from card_io.terminals.station import Wanted
    from card_io.virtual_card.reader import VirtualReader

    circle = Circle.create(tmp_path)
    station = circle.station("310400000009", 211, 210, ["transit"], place={"mode": "bus", "line": 7})
    circle.publish()
    with station.purse.touch(VirtualReader(circle.issuer.card(22, limits=MONEY))) as touch:
        station.service(Wanted("transit"))(touch)
    station.close()
    return circle


def exchanges_of(folder: Path) -> list[tuple[int, str]]:
    from card_io.capture.transactions import exchanges

    return [(number, found.sha256) for number, found in exchanges(folder)]


def test_self_test_passes_and_says_so_in_both_languages() -> None:
    checks = json.loads(said("self-test", "--json"))["checks"]
    assert len(checks) == 6
    assert all(each["error"] is None for each in checks)
    assert "通过" in said("self-test")
    assert "passed" in said("self-test", "--lang", "en")


def test_every_text_has_both_languages_and_the_same_facts() -> None:
    import string

    for key, pair in _TEXTS.items():
        names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in pair]
        assert all(pair), key
        # A fact may be left out only where the sentence needs it in one language alone.
        assert names[0] == names[1], key
    assert Messages("zh")("touch_card") == "请刷卡"


def test_the_readme_lists_the_commands_there_are() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"`card {name}" in readme, name
