"""Settle visits of any days by a tariff whose terms change on dates: each segment goes on from the one before."""

from __future__ import annotations

import numpy as np

from tariffs.columns import NULL, Ints
from tariffs.medical.columns import MedicalLedger, MedicalReviews, MedicalRun, MedicalSettlements, MedicalVisits
from tariffs.medical.pricing import settle_visits
from tariffs.tariff import Tariff


def settle_dated(tariff: Tariff, visits: MedicalVisits, ledger: MedicalLedger, *, threads: int = 1) -> MedicalRun:
    """Settle each visit by the terms of its settlement day; counters run on through a change of terms.

    A deductible consumed before the change counts against the new one, as payments do against the new cap. Visits
    of days that are not published are not priced. Raises ValueError when the settlement order of a person or
    household contradicts the days.
    """
    segment = tariff.segment_of(visits.settle_day)
    for owner in (visits.person, visits.household):
        _refuse_backwards(owner, visits.sequence, segment)
    answers = MedicalSettlements.zeros(len(visits))
    reviews = [MedicalReviews.zeros(0)]
    for index in np.unique(segment[segment >= 0]):
        rows = np.flatnonzero(segment == index)
        run = settle_visits(tariff.compiled[int(index)], visits.take(rows), ledger, threads=threads)
        for name in MedicalSettlements.SPECS:
            getattr(answers, name)[rows] = getattr(run.settlements, name)
        ledger = run.ledger
        reviews.append(run.reviews)
    return MedicalRun(answers, ledger, MedicalReviews.concatenate(reviews))


def _refuse_backwards(owner: Ints, sequence: Ints, segment: Ints) -> None:
    order = np.lexsort((sequence, owner))
    order = order[(segment[order] >= 0) & (owner[order] != NULL)]
    backwards = (np.diff(owner[order]) == 0) & (np.diff(segment[order]) < 0)
    if backwards.any():
        row = order[1:][backwards][0]
        raise ValueError(f"owner {owner[row]}: sequence {sequence[row]} is dated before an earlier one's terms")
