"""A small city day that several test modules read: built once per session, never changed by a test."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

import pytest

from clearing import calendar
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.settlement import close_window
from clearing.simulate import simulate_day

CITY_DAY: Final = datetime.date(2026, 3, 2)
CITY_PASSPHRASE: Final = "correct horse"


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated centre with two closed windows, faults and late records included."""
    centre = tmp_path_factory.mktemp("city") / "centre"
    initialise_centre(centre, simulated=True, passphrase=CITY_PASSPHRASE, scrypt_n=2)
    simulate_day(centre, date=CITY_DAY, transactions=2_000, seed=7, faults="default", passphrase=CITY_PASSPHRASE)
    for date in (CITY_DAY, CITY_DAY + datetime.timedelta(days=1)):
        now = calendar.day_number(date + datetime.timedelta(days=1)) * 86400 + 5 * 3600
        run_centre(centre, passphrase=CITY_PASSPHRASE, now=now)
        close_window(centre, date, passphrase=CITY_PASSPHRASE, now=now)
    return centre


@pytest.fixture(scope="session")
def city_day() -> datetime.date:
    """The business date of the city's first window."""
    return CITY_DAY


@pytest.fixture(scope="session")
def city_passphrase() -> str:
    """Unlocks the city's key store."""
    return CITY_PASSPHRASE
