"""Cancellations (transaction 2208): which settlement a row takes back, and which ones stand between the two."""

from __future__ import annotations

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.medical.columns import MedicalReviews, MedicalSettled, MedicalVisits
from tariffs.medical.kernels import RELIEF, VISIT_RELIEF

_NEVER = np.iinfo(np.int64).max


def find_cancelled(visits: MedicalVisits, covered: Bools, settled: MedicalSettled) -> Ints:
    """Row that each visit takes back, −1 for visits that are no cancellation or take back nothing.

    Rows of the batch count from 0, those of ``settled`` go on after them; ``covered`` says which visits are
    settled at all. A settlement is taken back once, by the first row after it that names it. Returns int64 of
    shape (visits,). Raises ValueError when a person has one sequence twice.
    """
    source = np.full(len(visits), -1, np.int64)
    asking = np.flatnonzero(visits.cancels >= 0)
    if not len(asking):
        return source
    person = np.concatenate([visits.person, settled.person])
    sequence = np.concatenate([visits.sequence, settled.sequence])
    can_be = np.concatenate([covered & (visits.cancels < 0), settled.cancelled_by == NULL])
    order = np.lexsort((sequence, person))
    twice = (np.diff(person[order]) == 0) & (np.diff(sequence[order]) == 0)
    if twice.any():
        row = order[1:][twice][0]
        raise ValueError(f"person {person[row]} has the sequence {sequence[row]} twice")
    found = _find(person[order], sequence[order], visits.person[asking], visits.cancels[asking])
    row = np.where(found >= 0, order[found], 0)
    good = (found >= 0) & can_be[row] & (visits.cancels[asking] < visits.sequence[asking])
    asking, row = asking[good], row[good]
    by_time = np.lexsort((visits.sequence[asking], row))
    asking, row = asking[by_time], row[by_time]
    first = np.ones(len(row), np.bool_)
    first[1:] = np.diff(row) != 0
    source[asking[first]] = row[first]
    return source


def _find(owners: Ints, sequences: Ints, owner: Ints, sequence: Ints) -> Ints:
    """Position of each (owner, sequence) in the sorted pairs, −1 where it is not."""
    first = np.searchsorted(owners, owner, side="left")
    last = np.searchsorted(owners, owner, side="right")
    found = np.full(len(owner), -1, np.int64)
    for index in range(len(owner)):
        at = first[index] + int(np.searchsorted(sequences[first[index] : last[index]], sequence[index]))
        if at < last[index] and sequences[at] == sequence[index]:
            found[index] = at
    return found


def find_reviews(settled: MedicalSettled, visits: MedicalVisits, source: Ints, months: int) -> MedicalReviews:
    """Settlements between each cancellation of ``visits`` and what it takes back.

    ``settled`` is the ledger after the batch, ``source`` as from :func:`find_cancelled`. Listed are the settlements
    of the same person and calendar year, or of the same month of the owner of a monthly limit, that were settled
    in between and not themselves taken back before the cancellation: their deductible, bands, caps and limits
    stood on the counters that it changed. Where the cancelled settlement reached a limit, the owner's following
    months count too, ``months`` with its own: it may have lowered their limit.
    """
    rows = np.flatnonzero(source >= 0)
    if not len(rows):
        return MedicalReviews.zeros(0)
    live_until = np.where(settled.cancelled_by == NULL, _NEVER, settled.cancelled_by)
    month = settled.settle_day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    by_person = np.lexsort((settled.sequence, settled.person))
    persons = settled.person[by_person]
    taken = by_person[_find(persons, settled.sequence[by_person], visits.person[rows], visits.cancels[rows])]
    reached = settled.month_moves[:, VISIT_RELIEF] + settled.month_moves[:, RELIEF] > 0
    by_owner = np.argsort(settled.limit_owner, kind="stable")
    owners = settled.limit_owner[by_owner]
    listed: list[tuple[int, int, int, int, int]] = []
    for row, cancelled in zip(rows, taken, strict=True):
        begin, end = settled.sequence[cancelled], visits.sequence[row]
        near = _run_of(by_person, persons, settled.person[cancelled])
        near = near[month[near] // 12 == month[cancelled] // 12]
        if settled.limit_owner[cancelled] != NULL:
            same = _run_of(by_owner, owners, settled.limit_owner[cancelled])
            later = month[same] - month[cancelled]
            near = np.union1d(near, same[(later >= 0) & (later < (months if reached[cancelled] else 1))])
        between = (settled.sequence[near] > begin) & (settled.sequence[near] < end) & (live_until[near] > end)
        listed += [
            (int(end), int(settled.person[at]), int(settled.sequence[at]), int(visits.person[row]), int(begin))
            for at in near[between]
        ]
    listed.sort()
    columns = np.array(listed, np.int64).reshape(len(listed), 5).T.copy()
    return MedicalReviews(columns[1], columns[2], columns[3], columns[4], columns[0])


def _run_of(order: Ints, owners: Ints, owner: int) -> Ints:
    """The part of ``order`` that belongs to one owner; ``owners`` are the sorted owners."""
    return order[np.searchsorted(owners, owner, side="left") : np.searchsorted(owners, owner, side="right")]
