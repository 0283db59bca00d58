"""An engine without one of its checks, templates or its memory must disagree with the auditor on a faulty day."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from auditor import audit

from simulation.adapter import City, decided_in, receive_city, run_engine, run_mutant, simulate_city
from simulation.comparison import differences, report, visible

Visible = tuple[dict[Any, Any], dict[Any, int]]

SEED = 7
ROWS = 3_000

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


def _copy(city: City, folder: Path) -> Path:
    """The centre of the city again, which itself stays untouched for the next mutant."""
    return Path(shutil.copytree(city.centre, folder / "centre"))


@pytest.fixture(scope="module")
def received(city: City, tmp_path_factory: pytest.TempPathFactory) -> City:
    """The city with its deliveries taken in, which no mutant does differently: each clears them from the archive."""
    received = replace(city, centre=_copy(city, tmp_path_factory.mktemp("received")))
    receive_city(received)
    return received


@pytest.fixture(scope="module")
def whole(received: City, tmp_path_factory: pytest.TempPathFactory) -> Visible:
    centre = _copy(received, tmp_path_factory.mktemp("whole"))
    run_mutant(received, centre)
    return visible(decided_in(centre))


def test_the_whole_engine_agrees(city: City, tmp_path: Path) -> None:
    audited = audit(city.centre, city.deliveries, city.truth)
    lines = list(differences(run_engine(_copy(city, tmp_path)), audited))
    assert not lines, report(lines, SEED)


def test_another_run_of_the_whole_engine_looks_the_same(city: City, whole: Visible, tmp_path: Path) -> None:
    """Otherwise every mutant would be seen, whatever it left out; this run takes the deliveries in itself."""
    centre = _copy(city, tmp_path)
    run_mutant(city, centre)
    assert visible(decided_in(centre)) == whole


@pytest.mark.parametrize("mutant", [*CHECKS, *TEMPLATES, "MEMORY"])
def test_mutant_is_seen(received: City, whole: Visible, tmp_path: Path, mutant: str) -> None:
    """The whole engine agrees with the auditor; what looks different to the comparison does not."""
    centre = _copy(received, tmp_path)
    try:
        run_mutant(received, centre, mutant)
    except (AssertionError, KeyError):
        return  # The engine itself stumbled over what it let pass.
    assert visible(decided_in(centre)) != whole, f"seed {SEED}: nothing differs without {mutant}"
