"""Late, corrected and withdrawn readings: difference rows equal pricing both versions from scratch."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tariffs
from tariffs import TariffDateError, UtilityState, UtilityUsages, load_tariff
from tariffs.utility.replay import corrected_usages, price_utility_dated, reprice_utility

LIBRARY = Path(tariffs.__file__).parent / "library"
GAS = load_tariff(LIBRARY / "demo.gas.yaml")
BUSINESS = load_tariff(LIBRARY / "demo.electricity_business.yaml")
START = (date(2026, 1, 5) - date(1970, 1, 1)).days


def readings(seed: int, accounts: int = 20, months: int = 11) -> UtilityUsages:
    """A reading a month of every account, each a bill."""
    rng = np.random.default_rng(seed)
    account, month = np.repeat(np.arange(accounts), months), np.tile(np.arange(months), accounts)
    length = len(account)
    return UtilityUsages.of(
        length,
        account=account,
        sequence=month * 10,
        period_day=START + month * 30,
        minute=600,
        bill=month,
        usage_milli=rng.integers(0, 90_000, length),
        demand_milli=rng.integers(0, 90_000, length),
        meter_size=1,
    )


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([GAS, BUSINESS]), st.integers(0, 12))
def test_differences_equal_a_run_from_scratch(seed: int, tariff: tariffs.Tariff, changes: int) -> None:
    """What was posted and the differences add up to the prices of the readings as they should have been."""
    rng = np.random.default_rng(seed)
    posted = readings(seed)
    rows = rng.permutation(len(posted))[: 3 * changes]
    fixed, late, withdrawn = rows[:changes], posted.take(rows[changes : 2 * changes]), rows[2 * changes :]
    wrong = posted.take(fixed)
    corrections = UtilityUsages.concatenate(
        [
            UtilityUsages.of(
                len(part),
                **{name: getattr(part, name) for name in part.SPECS}
                | {"usage_milli": rng.integers(0, 90_000, len(part)), "sequence": part.sequence + shift}
                | {"bill": part.bill + 100 * shift},
            )
            for part, shift in ((wrong, 0), (late, 1))
        ]
    )
    current = corrected_usages(posted, corrections, withdrawn)
    assert len(current) == len(posted)
    opening = UtilityState.zeros(0)
    differences, state = reprice_utility(tariff, posted, current, opening)
    before, _, _ = price_utility_dated(tariff, posted, opening)
    after, whole, _ = price_utility_dated(tariff, current, opening)
    expected: dict[tuple[int, int], int] = {}
    for usages, prices, sign in ((posted, before, -1), (current, after, 1)):
        for account, sequence, gross in zip(usages.account, usages.sequence, prices.gross, strict=True):
            expected[account, sequence] = expected.get((account, sequence), 0) + sign * int(gross)
    found = dict(
        zip(zip(differences.account, differences.sequence, strict=True), differences.gross.tolist(), strict=True)
    )
    assert {key: change for key, change in found.items() if change} == {k: c for k, c in expected.items() if c}
    np.testing.assert_array_equal(differences.gross, differences.components.sum(axis=1))
    of_touched = whole.take(np.isin(whole.account, state.account))
    for name in state.SPECS:
        np.testing.assert_array_equal(getattr(state, name), getattr(of_touched, name))


def test_accounts_without_a_change_are_left_alone() -> None:
    posted = readings(1)
    late = UtilityUsages.of(1, account=3, sequence=5, period_day=START + 1, usage_milli=40_000)
    differences, state = reprice_utility(
        GAS, posted, corrected_usages(posted, late, np.zeros(0, np.int64)), UtilityState.zeros(0)
    )
    assert set(differences.account.tolist()) == {3} == set(state.account.tolist())
    # The late reading fills the tiers, so bills after it in the half year of the old prices rise, none before.
    assert differences.sequence.min() == 5
    assert (differences.gross > 0).all()


def test_readings_out_of_turn_and_days_without_prices_are_refused() -> None:
    posted = readings(1, accounts=1)
    turned = UtilityUsages.of(2, account=1, sequence=[1, 2], period_day=[START + 9, START], usage_milli=1)
    with pytest.raises(ValueError, match="account 1 are not in the order of days"):
        price_utility_dated(GAS, turned, UtilityState.zeros(0))
    early = UtilityUsages.of(1, account=1, sequence=1, period_day=0, usage_milli=1)
    with pytest.raises(TariffDateError, match="no price published for 1970-01-01"):
        price_utility_dated(GAS, UtilityUsages.concatenate([posted, early]), UtilityState.zeros(0))
