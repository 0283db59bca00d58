"""An engine without one of its checks, templates or its memory must disagree with the auditor on a faulty day."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from auditor import AuditResult, audit

from simulation.adapter import City, run_engine, simulate_city
from simulation.comparison import EngineResult, differences, report

SEED = 7
ROWS = 5_000

CHECKS = (
    "FORM_INVALID",
    "TIME_IMPOSSIBLE",
    "TEST_RECORD",
    "GREY_RECORD",
    "LOCKED_RECORD",
    "UNKNOWN_MERCHANT",
    "UNKNOWN_TERMINAL",
    "UNKNOWN_ISSUER",
    "ALGORITHM_NOT_PERMITTED",
    "KEY_UNKNOWN",
    "TAC_MISSING",
    "TAC_FAILED",
    "DUPLICATE",
    "REPLAY",
    "CONFLICT",
    "CARD_UNKNOWN",
    "CARD_BLACKLISTED",
    "BALANCE_BREAK",
    "BILLS_EXCEED_PAYMENT",
    "BENEFIT_UNMATCHED",
    "AMOUNT_OVER_LIMIT",
    "TIME_IN_FUTURE",
    "TOO_OLD",
    "NO_TARIFF",
)
TEMPLATES = (
    "PURCHASE",
    "MEDICAL",
    "UTILITY",
    "LOAD",
    "BENEFIT_GRANT",
    "BENEFIT_PICKUP",
    "HELD_DEBIT",
    "HELD_CREDIT",
    "MEMO_HELD",
    "MEMO_REJECTED",
)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return simulate_city(tmp_path_factory.mktemp("city"), seed=SEED, rows=ROWS)


@pytest.fixture(scope="module")
def audited(city: City) -> AuditResult:
    return audit(city.centre, city.deliveries, city.truth)


def _engine_on_a_copy(city: City, folder: Path, *disabled: str) -> EngineResult:
    """A run on a copy of the city, which stays untouched for the next mutant."""
    centre = folder / "centre"
    shutil.copytree(city.centre, centre)
    shutil.copytree(city.truth, folder / "centre.truth")
    return run_engine(centre, disable=disabled)


def test_the_whole_engine_agrees(city: City, audited: AuditResult, tmp_path: Path) -> None:
    lines = list(differences(_engine_on_a_copy(city, tmp_path), audited))
    assert not lines, report(lines, SEED)


@pytest.mark.parametrize("mutant", [*CHECKS, *TEMPLATES, "MEMORY"])
def test_mutant_is_seen(city: City, audited: AuditResult, tmp_path: Path, mutant: str) -> None:
    try:
        engine = _engine_on_a_copy(city, tmp_path, mutant)
    except (AssertionError, KeyError):
        return  # The engine itself stumbled over what it let pass.
    assert any(differences(engine, audited)), f"seed {SEED}: nothing differs without {mutant}"
