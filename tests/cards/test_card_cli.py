"""The command ``card`` against the real daemon: readers, read, capture, deliver, exchange, self-test."""

from __future__ import annotations

import json
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


def test_captured_delivered_and_named(tmp_path: Path, issuer_free: Circle) -> None:
    """Capture through the command needs a hand that takes the card away; the parts behind it are driven directly."""
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
