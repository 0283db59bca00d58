"""Engine and auditor on seeded days. CAMPAIGN_SEEDS and CAMPAIGN_ROWS set how many days and how large."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from auditor import audit

from simulation.adapter import run_engine, simulate_city
from simulation.comparison import differences, report

SEEDS = range(1, int(os.environ.get("CAMPAIGN_SEEDS", "20")) + 1)
ROWS = int(os.environ.get("CAMPAIGN_ROWS", "20000"))


@pytest.mark.parametrize("seed", SEEDS)
def test_engine_and_auditor_agree(tmp_path: Path, seed: int) -> None:
    """However many runs the deliveries are taken in."""
    city = simulate_city(tmp_path, seed=seed, rows=ROWS)
    found = audit(city.centre, city.deliveries, city.truth)
    lines = list(differences(run_engine(city.centre, runs=1 + seed % 3), found))
    assert not lines, report(lines, seed)
