"""The only place of these tests that knows how centre, simulator and engine are called."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from simulation.comparison import EngineResult

PASSPHRASE = "simulated centre"
DAY = "2026-03-02"


@dataclass(frozen=True)
class City:
    """A simulated centre before its first run, and what the auditor reads."""

    centre: Path
    deliveries: Path
    truth: Path


def simulate_city(folder: Path, *, seed: int, rows: int) -> City:
    """A new centre under ``folder`` with one simulated day of ``rows`` transactions and heavy faults."""
    from datetime import date

    from clearing.initialise import initialise_centre
    from clearing.simulate import simulate_day

    centre = folder / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    simulate_day(
        centre, date=date.fromisoformat(DAY), transactions=rows, seed=seed, faults="heavy", passphrase=PASSPHRASE
    )
    deliveries = folder / "deliveries"
    shutil.copytree(centre / "inbox", deliveries)
    return City(centre, deliveries, folder / "centre.truth")


def run_engine(centre: Path, *, disable: Collection[str] = ()) -> EngineResult:
    """Clear everything in the inbox, close every window, and read back what was decided and posted.

    ``disable`` names ladder checks or posting templates the engine must leave out (mutants).
    """
    from clearing.engine import close_window, run_centre

    run = run_centre(centre, passphrase=PASSPHRASE, disable=frozenset(disable))
    for window in run.windows:
        close_window(centre, window, passphrase=PASSPHRASE)
    return EngineResult(run.files, run.rows, run.balances, run.fees, run.positions)
