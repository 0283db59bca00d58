"""Simulated centres shared by the evidence tests: made once a session, copied by whoever changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.centres import Ledger, clear, copy_of, ledger_of, simulate
from evidence.handmade import Cases, Centre
from evidence.paying import CLOSED_AT, WINDOW, Paying


@pytest.fixture(scope="session")
def heavy_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5 000 transactions over two windows, everything going wrong, still in the inbox. Read only."""
    return simulate(tmp_path_factory.mktemp("heavy") / "centre", rows=5_000)


@pytest.fixture(scope="session")
def cleared(heavy_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same day cleared without disturbance. Read only."""
    centre = copy_of(heavy_day, tmp_path_factory.mktemp("cleared") / "centre")
    clear(centre)
    return centre


@pytest.fixture(scope="session")
def undisturbed(cleared: Path) -> Ledger:
    """What the undisturbed clearing sealed."""
    return ledger_of(cleared)


EVERY_SERVICE = """
transit                                                        ACCEPTED
transit    card=student amount=100                             ACCEPTED
transit    amount=300                                          ACCEPTED
transit    received=03-03T12:00:00                             ACCEPTED
medical                                                        ACCEPTED
utility    amount=500 bills=611:1:100,612:2:300                ACCEPTED
retail     card=foreign                                        ACCEPTED
retail     tac=wrong                                           TAC_FAILED
retail     amount=-5                                           UNREADABLE
retail     card=unregistered received=03-03T12:00:00           CARD_UNKNOWN
benefit                                                        ACCEPTED
  load     benefit_id=BENEFIT                                  ACCEPTED
load       tac=wrong                                           TAC_FAILED
"""
"""Something of everything a ledger holds: all services, an unreadable row, every kind of account, two windows."""


@pytest.fixture(scope="session")
def small_cleared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole ledger that is quick to copy and to audit: two batches of hand-made transactions. Read only."""
    centre = Centre.create(tmp_path_factory.mktemp("small") / "centre")
    lines = Cases(centre).read(EVERY_SERVICE)
    centre.deliver(lines)
    clear(centre.directory)
    found = centre.decisions()
    assert [found[line.place] for line in lines] == [line.expected for line in lines]
    return centre.directory


PAYABLE = """
transit                                                        ACCEPTED
transit    card=student amount=100                             ACCEPTED
medical                                                        ACCEPTED
utility    amount=500 bills=611:1:100,612:2:300                ACCEPTED
retail     amount=20000                                        ACCEPTED
retail     card=foreign                                        ACCEPTED
load                                                           ACCEPTED
benefit                                                        ACCEPTED
  load     benefit_id=BENEFIT                                  ACCEPTED
"""
"""Money owed to payees out of reserve and funds, owed by agents and funds, and a benefit picked up."""


@pytest.fixture(scope="session")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Paying:
    """A closed window whose payments wait for two persons. Read only."""
    centre = Centre.create(tmp_path_factory.mktemp("proposed") / "centre")
    centre.deliver(Cases(centre).read(PAYABLE))
    paying = Paying(centre.directory)
    paying.close(WINDOW, CLOSED_AT)
    return paying


MANDATE = '{participant: 701, from: 2026-01-01, mandate: {id: "DK-701-1", signed: 2025-12-20}, '


@pytest.fixture(scope="session")
def mandated(tmp_path_factory: pytest.TempPathFactory) -> Paying:
    """The same, but agent 701 has signed a mandate. Read only."""
    centre = Centre.create(tmp_path_factory.mktemp("mandated") / "centre")
    path = centre.directory / "centre.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("{participant: 701, from: 2026-01-01, ", MANDATE, 1), "utf-8")
    centre.deliver(Cases(centre).read(PAYABLE))
    paying = Paying(centre.directory)
    paying.close(WINDOW, CLOSED_AT)
    return paying


@pytest.fixture
def debiting(mandated: Paying, tmp_path: Path) -> Paying:
    """A centre whose agent is collected from by direct debit, to go on with."""
    return mandated.copy(tmp_path / "centre")


@pytest.fixture
def paying(proposed: Paying, tmp_path: Path) -> Paying:
    """The same centre, to go on with."""
    return proposed.copy(tmp_path / "centre")
