"""Late and withdrawn readings over a year: day by day the books end where a run from scratch does.

``CAMPAIGN_EVENTS`` sets the number of readings of a campaign (600 by default).
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import (
    Tariff,
    UtilityState,
    UtilityUsages,
    load_tariff,
    price_standing,
    price_utility_dated,
    reprice_utility,
    utility_standing,
)
from tariffs.columns import Bools
from tariffs.schema import Late
from tariffs.utility.late import NEVER

LIBRARY = Path(tariffs.__file__).parent / "library"
EVENTS = int(os.environ.get("CAMPAIGN_EVENTS", "600"))
START = (date(2026, 1, 1) - date(1970, 1, 1)).days
LAST = START + 364
FILES = ("beijing.water", "demo.gas", "demo.electricity_business")
POLICIES = ("reprice", "forward", "reject")


def with_late(name: str, policy: str, grace: int = 10) -> Tariff:
    """A rule file under another late policy."""
    return replace(load_tariff(LIBRARY / f"{name}.yaml"), late=Late(grace_days=grace, after_grace=policy))  # type: ignore[arg-type]


class Campaign:
    """Monthly bills of two rows each over a year; a share of the bills comes late, a share is withdrawn."""

    def __init__(self, seed: int, events: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        bills = max(events // 2, 24)
        accounts = bills // 12
        bills = accounts * 12
        account, month = np.repeat(np.arange(accounts), 12), np.tile(np.arange(12), accounts)
        day = START + month * 29 + 20
        late, withdrawn = rng.random(bills) < share, rng.random(bills) < share
        received = day + np.where(late, rng.integers(5, 35, bills), rng.integers(0, 4, bills))
        # Under `forward` a row counts on the day it comes: the files publish prices up to the end of the year.
        received = np.minimum(received, LAST)
        gone = np.minimum(received + rng.integers(0, 40, bills), LAST)
        self.received = np.repeat(received, 2).astype(np.int32)
        self.withdrawn = np.repeat(np.where(withdrawn, gone, NEVER), 2).astype(np.int32)
        self.late = int(late.sum() + withdrawn.sum())
        rows = 2 * bills
        self.usages = UtilityUsages.of(
            rows,
            account=np.repeat(account, 2),
            sequence=np.repeat(month, 2) * 10 + np.tile([0, 1], bills),
            period_day=np.repeat(day, 2),
            bill=np.repeat(month, 2),
            usage_milli=rng.integers(0, 40_000, rows),
            household=np.repeat(rng.integers(1, 8, bills), 2),
            minute=rng.choice([300, 660, 1_200], rows),
            days=np.tile([29, 0], bills),
            demand_milli=rng.integers(0, 50_000, rows),
            meter_size=1,
        )

    def known_on(self, day: int) -> tuple[Bools, np.ndarray]:
        """Rows received up to a day, and the withdrawals known then."""
        return self.received <= day, np.where(self.withdrawn <= day, self.withdrawn, NEVER).astype(np.int32)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FILES)
def test_books_end_where_a_run_from_scratch_does(name: str, policy: str, share: float) -> None:
    """Every ten days what is new is posted as differences from the opening of the year."""
    tariff, opening = with_late(name, policy), UtilityState.zeros(0)
    campaign = Campaign(7, EVENTS if share > 0.001 else 4 * EVENTS, share)
    assert campaign.late > 0
    usages = campaign.usages
    posted = utility_standing(tariff, usages.take(slice(0, 0)), campaign.received[:0], campaign.withdrawn[:0])
    books: dict[tuple[int, int], np.ndarray] = {}
    moved = 0
    for day in range(START, START + 440, 10):
        known, withdrawn = campaign.known_on(day)
        current = utility_standing(tariff, usages.take(known), campaign.received[known], withdrawn[known])
        differences, _ = reprice_utility(tariff, posted, current, opening)
        for account, sequence, components in zip(
            differences.account.tolist(), differences.sequence.tolist(), differences.components, strict=True
        ):
            books[account, sequence] = books.get((account, sequence), 0) + components
        moved += int(differences.gross.sum())
        posted = current
    whole = utility_standing(tariff, usages, campaign.received, campaign.withdrawn)
    prices, _ = price_standing(tariff, whole, opening)
    keys = zip(usages.account.tolist(), usages.sequence.tolist(), strict=True)
    expected = {key: row for key, row in zip(keys, prices.components, strict=True) if row.any()}
    found = {key: row for key, row in books.items() if row.any()}
    assert found.keys() == expected.keys()
    assert all((found[key] == expected[key]).all() for key in found)
    assert moved == int(prices.gross.sum())


@pytest.mark.parametrize("name", FILES)
def test_repricing_forgets_when_things_came(name: str) -> None:
    """Under reprice the year equals one in which everything came in time and what was withdrawn never came."""
    campaign = Campaign(3, EVENTS, 0.1)
    tariff = with_late(name, "reprice", grace=0)
    whole = utility_standing(tariff, campaign.usages, campaign.received, campaign.withdrawn)
    stands = campaign.withdrawn == NEVER
    clean, _, _ = price_utility_dated(tariff, campaign.usages.take(stands), UtilityState.zeros(0))
    prices, _ = price_standing(tariff, whole, UtilityState.zeros(0))
    np.testing.assert_array_equal(prices.components[stands], clean.components)
    assert not prices.components[~stands].any()


def test_what_a_policy_does_with_a_late_bill() -> None:
    """200 m³ in December received in February, a withdrawal received after the grace: by each policy."""
    usages = UtilityUsages.of(
        3,
        account=1,
        sequence=[1, 2, 3],
        period_day=[START + 30, START + 40, START + 60],
        usage_milli=[170_000, 9_000, 9_000],
    )
    received = np.array([START + 30, START + 90, START + 60], np.int32)
    withdrawn = np.array([START + 80, NEVER, NEVER], np.int32)

    def gross(policy: str) -> list[int]:
        tariff = with_late("beijing.water", policy, grace=10)
        return price_standing(tariff, utility_standing(tariff, usages, received, withdrawn), UtilityState.zeros(0))[
            0
        ].gross.tolist()

    # Never sent, in time, first tier for both.
    assert gross("reprice") == [0, 4_500, 4_500]
    # The withdrawn reading has filled 170 of 180 m³; the late one comes last and meets the second tier for 8 m³.
    assert gross("forward") == [0, 500 + 8 * 700, 4_500]
    # Late and dropped; the withdrawal came too late to matter.
    assert gross("reject") == [85_000, 0, 4_500]
