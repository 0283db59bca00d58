"""Engine and auditor on seeded days. CAMPAIGN_SEEDS and CAMPAIGN_ROWS set how many days and how large."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from auditor import audit

from simulation.adapter import run_engine, simulate_city
from simulation.comparison import differences, report

pytest.importorskip("clearing.engine", reason="the engine is not there yet")

SEEDS = range(1, int(os.environ.get("CAMPAIGN_SEEDS", "20")) + 1)
ROWS = int(os.environ.get("CAMPAIGN_ROWS", "20000"))


@pytest.mark.parametrize("seed", SEEDS)
def test_engine_and_auditor_agree(tmp_path: Path, seed: int) -> None:
    city = simulate_city(tmp_path, seed=seed, rows=ROWS)
    found = audit(city.centre, city.deliveries, city.truth)
    lines = list(differences(run_engine(city.centre), found))
    assert not lines, report(lines, seed)
