"""A training issuer per session, and what the batch engine says of the codes its cards make."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from card_io.apdu import CardChannel
from card_io.layouts.commands import PurseLimits
from card_io.layouts.files import JourneyRecord
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.memory import CardMemory
from card_io.virtual_card.reader import VirtualReader
from card_io.virtual_card.training import TrainingIssuer

from .virtual_readers import VirtualReaders, socket_of

DATE, TIME = 0x20260302, 0x081530
LIMITS = PurseLimits(cap=100_000, balance=10_000, overdraft_limit=0, overdraft_used=0)
Answered = Callable[[int], None]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> TrainingIssuer:
    """An issuer with random 3DES masters."""
    return TrainingIssuer.create(tmp_path_factory.mktemp("issuer") / "keystore.json", "training", scrypt_n=2)


@pytest.fixture(scope="session")
def memory_of_a_card(issuer: TrainingIssuer) -> CardMemory:
    """Memory of a new card, for properties that make their own."""
    return issuer.card(99).memory


def journey(**changes: object) -> JourneyRecord:
    """A purse entry on a metro line."""
    values: dict[str, object] = {
        "kind": 3,
        "terminal": "0000310000000001",
        "mode": 1,
        "line": "00000001",
        "site": "000012",
        "amount": 0,
        "balance": 0,
        "time": 0x20260302081530,
        "city": "2900",
        "institution": "11012900FFFFFFFF",
    }
    return JourneyRecord(**{**values, **changes})


def channel_to(card: VirtualCard) -> CardChannel:
    """A channel to `card` in a fresh reader."""
    return CardChannel(VirtualReader(card).connect())


@pytest.fixture(scope="session")
def daemon_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualReaders]:
    """Where this process keeps its daemon; the client library fixes the socket at its first call."""
    try:
        from smartcard import scard  # noqa: F401
    except ImportError:
        pytest.skip("pyscard is not installed: scripts/setup --readers")
    if shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        pytest.skip("pcscd is not installed: scripts/setup --readers")
    # A socket's path has at most 107 bytes, so the folder lies high up.
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        socket_of(Path(folder))
        readers = VirtualReaders(Path(folder), 4)
        yield readers
        readers.stop()


@pytest.fixture
def readers(daemon_folder: VirtualReaders) -> VirtualReaders:
    """Four empty virtual readers of a running daemon; after a test that ended it, or left a card in, a new one."""
    if daemon_folder.runs() and not all(
        daemon_folder.sees(slot, present=False, seconds=3) for slot in range(daemon_folder.slots)
    ):
        # The test that failed says so itself; those behind it must not.
        daemon_folder.kill()
    if not daemon_folder.runs():
        daemon_folder.start()
    for slot in range(daemon_folder.slots):
        assert daemon_folder.sees(slot, present=False, seconds=20), f"a card was left in slot {slot}"
    return daemon_folder


def say(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Show a figure in the test run's own output."""
    with capsys.disabled():
        sys.stdout.write(f"\n{words}\n")
