"""Simulated centres shared by the evidence tests: made once a session, copied by whoever changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.centres import Ledger, clear, copy_of, ledger_of, simulate


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


@pytest.fixture(scope="session")
def small_cleared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 transactions, cleared: a whole ledger that is quick to copy and to audit. Read only."""
    centre = simulate(tmp_path_factory.mktemp("small") / "centre", rows=600)
    clear(centre)
    return centre
