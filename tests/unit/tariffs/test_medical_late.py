"""Cancelled settlements over a year: in settlement order, whatever the batches, and what is settled stays.

``CAMPAIGN_EVENTS`` sets the number of visits of a campaign (1,500 by default).
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from reference import medical_reference as reference

import tariffs
from tariffs import MedicalLedger, MedicalReviews, MedicalSettlements, MedicalVisits, load_tariff, settle_dated
from tariffs.columns import Columns
from tariffs.medical.columns import AMOUNT_FIELDS

LIBRARY = Path(tariffs.__file__).parent / "library"
EVENTS = int(os.environ.get("CAMPAIGN_EVENTS", "1500"))
START = (date(2026, 1, 1) - date(1970, 1, 1)).days
FILES = ("demo.employee.outpatient", "demo.resident.outpatient")


def year_of_visits(seed: int, events: int, share: float) -> tuple[MedicalVisits, int]:
    """Visits of a year and, for a share of them, a cancellation some settlements later; how many there are."""
    rng = np.random.default_rng(seed)
    day = np.sort(START + rng.integers(0, 360, events))
    person = rng.integers(0, max(events // 12, 1), events)
    visits = MedicalVisits.of(
        events,
        person=person,
        sequence=np.arange(events) * 10,
        settle_day=day,
        insured=rng.choice([310, 390], events),
        person_type=rng.choice([11, 12], events),
        level=rng.integers(1, 4, events),
        category_a=rng.integers(0, 200_000, events),
        category_b=rng.integers(0, 90_000, events),
        category_c=rng.integers(0, 9_000, events),
        account_available=rng.integers(0, 50_000, events),
    )
    taken = np.flatnonzero(rng.random(events) < share)
    later = np.minimum(taken + rng.integers(1, max(events // 10, 2), len(taken)), events - 1)
    cancelling = MedicalVisits.of(
        len(taken),
        person=person[taken],
        sequence=later * 10 + 1 + rng.permutation(len(taken)) % 9,
        settle_day=day[later],
        insured=310,
        level=1,
        cancels=taken * 10,
    )
    # One sequence twice for a person would be refused: keep the first of such.
    keys = np.stack([cancelling.person, cancelling.sequence], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    cancelling = cancelling.take(np.sort(first))
    both = MedicalVisits.concatenate([visits, cancelling])
    return both.take(np.lexsort((both.sequence, both.settle_day))), len(cancelling)


def assert_same(first: Columns, second: Columns) -> None:
    for name in first.SPECS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("name", FILES)
def test_day_by_day_equals_the_whole_year(name: str, share: float) -> None:
    """Every two weeks a batch: each settlement is final when its batch is, and the year ends as in one run."""
    tariff = load_tariff(LIBRARY / f"{name}.yaml")
    visits, cancelled = year_of_visits(11, EVENTS if share > 0.001 else 3 * EVENTS, share)
    assert cancelled > 0
    whole = settle_dated(tariff, visits, MedicalLedger.empty())
    ledger, parts, reviews = MedicalLedger.empty(), [], []
    for first_day in range(START, START + 366, 14):
        now = (visits.settle_day >= first_day) & (visits.settle_day < first_day + 14)
        run = settle_dated(tariff, visits.take(now), ledger, threads=2)
        parts.append(run.settlements)
        reviews.append(run.reviews)
        ledger = run.ledger
    assert_same(MedicalSettlements.concatenate(parts), whole.settlements)
    assert_same(ledger.years, whole.ledger.years)
    listed = MedicalReviews.concatenate(reviews)
    keys = [
        sorted(zip(*(getattr(part, n).tolist() for n in part.SPECS), strict=True)) for part in (listed, whole.reviews)
    ]
    assert keys[0] == keys[1]
    taking = visits.cancels >= 0
    assert whole.settlements.priced[taking].any()
    # What was taken back and what took it back sum to nothing.
    given = whole.settlements.take(taking & whole.settlements.priced)
    taken_keys = set(zip(visits.person[taking].tolist(), visits.cancels[taking].tolist(), strict=True))
    settled = ledger.settled.take(ledger.settled.cancelled_by >= 0)
    assert set(zip(settled.person.tolist(), settled.sequence.tolist(), strict=True)) <= taken_keys
    for field in AMOUNT_FIELDS:
        assert getattr(given, field).sum() + getattr(settled, field).sum() == 0, field


@pytest.mark.parametrize("name", FILES)
def test_the_year_equals_its_twin(name: str) -> None:
    """The plain twin settles the same year visit by visit; a cancellation restores what later visits find."""
    tariff = load_tariff(LIBRARY / f"{name}.yaml")
    visits, _ = year_of_visits(5, 800, 0.1)
    run = settle_dated(tariff, visits, MedicalLedger.empty())
    books, expected = reference.Books(), []
    rows = [{column: int(getattr(visits, column)[i]) for column in visits.SPECS} for i in range(len(visits))]
    for row in rows:
        day = date(1970, 1, 1) + timedelta(days=row["settle_day"])
        steps = tariff.segments[tariff.segment_on(day)].steps
        expected += reference.settle(steps, [row], books)
    for index, answer in enumerate(expected):
        assert bool(run.settlements.priced[index]) == answer["priced"]
        for field, amount in answer.items():
            if field != "priced":
                assert getattr(run.settlements, field)[index] == amount, (index, field)
    found = zip(*(getattr(run.reviews, n).tolist() for n in run.reviews.SPECS), strict=True)
    assert {(by, p, s, cp, cs) for p, s, cp, cs, by in found} == books.reviews
