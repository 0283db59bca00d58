"""Settle again what an insurer has settled: each visit on the counters as the payments before it left them.

A tariff of policy ``externally_settled`` is a check. What was paid stands, therefore the years of a person go on from
the amounts paid and not from those that should have been: a wrong settlement is one difference and no echo in all
the later ones. Only what no payment tells (the deductible of a supplementary fund, a month's burden) goes on as
settled here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.medical.columns import (
    FUND_FIELDS,
    MedicalLedger,
    MedicalMonths,
    MedicalSettled,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
)
from tariffs.medical.pricing import settle_visits
from tariffs.needs import funds_that_remember
from tariffs.owners import calendar_year
from tariffs.tariff import Tariff

_DEDUCTIBLE, _SCOPE, _PAID = range(3)


@dataclass(frozen=True)
class PaidSettlements:
    """What was settled of n visits, fen; of a cancellation nothing is read.

    ``deductible`` and ``scope`` int64 (n,): in-scope amounts that went to the basic fund's deductible and came to its
    share. ``funds`` int64 (n, funds): payments in the order of :data:`~tariffs.medical.columns.FUND_FIELDS`.
    """

    deductible: Ints
    scope: Ints
    funds: Ints


@dataclass(frozen=True)
class Resettled:
    """Answers in the order of the visits.

    ``segment`` int64 (n,): index of the dated segment, −1 outside the published days. ``sound``: False where a
    counter is not known, because an earlier visit of the person's year or household could not be settled.
    """

    settlements: MedicalSettlements
    segment: Ints
    sound: Bools
    before: MedicalLedger | None
    """The counters before the visit asked for."""


def resettle(
    tariff: Tariff, visits: MedicalVisits, paid: PaidSettlements, readable: Bools, *, stop_at: int | None = None
) -> Resettled:
    """Settle visits, of persons whose years they hold from the first visit on, in settlement order.

    Args:
        tariff: of the region that pays.
        visits: ``sequence`` is unique over all of them; ``cancels`` names the sequence of an earlier visit of the
            person. A cancellation gives back what its settlement moved, to all visits after it, and is not answered.
        paid: what was paid of each.
        readable: visits that lack nothing the tariff reads. The others count with what was paid of them.
        stop_at: a visit; the counters before it are returned, and nothing after it is settled.

    Raises:
        TariffKindError: the tariff is of another kind.
    """
    return _Years(tariff, visits, paid, readable).run(stop_at)


class _Years:
    """All years on their way through the visits, round by round: no person and household twice in one."""

    def __init__(self, tariff: Tariff, visits: MedicalVisits, paid: PaidSettlements, readable: Bools) -> None:
        count = len(visits)
        self.tariff, self.visits, self.readable = tariff, visits, readable
        self.segment = tariff.segment_of(visits.settle_day)
        self.answers = MedicalSettlements.zeros(count)
        self.taken_back = _taken_back(visits)
        year = calendar_year(visits.settle_day)
        pairs, own = np.unique(np.stack([visits.person, year]), axis=1, return_inverse=True)
        self.person, self.year, self.own = pairs[0], pairs[1], own.reshape(-1)
        self.counters = np.zeros((len(FUND_FIELDS), pairs.shape[1], 3), np.int64)
        self.paid = np.zeros((len(FUND_FIELDS), count, 3), np.int64)
        self.paid[0, :, _DEDUCTIBLE], self.paid[0, :, _SCOPE] = paid.deductible, paid.scope
        self.paid[:, :, _PAID] = paid.funds.T
        self.months = MedicalMonths.zeros(0)
        self.kept: dict[int, tuple[Ints, MedicalSettled]] = {}
        self.cancelled = set(self.taken_back[self.taken_back >= 0].tolist())
        self.sound = np.ones(count, np.bool_)
        self.remembers = any(funds_that_remember(segment) for segment in tariff.segments)
        self.unsound: set[tuple[str, int]] = set()

    def run(self, stop_at: int | None) -> Resettled:
        before = None
        for rows in _rounds(self.visits):
            if stop_at is not None and stop_at in rows:
                before = self._ledger(np.array([stop_at]))
                break
            self._round(rows)
        return Resettled(self.answers, self.segment, self.sound, before)

    def _round(self, rows: Ints) -> None:
        cancelling = self.visits.cancels[rows] >= 0
        settling = rows[~cancelling]
        self._mark_unsound(settling)
        moves = self.paid[:, settling].copy()
        settled = np.zeros(len(settling), np.bool_)
        for segment in np.unique(self.segment[settling]):
            at = np.flatnonzero((self.segment[settling] == segment) & self.readable[settling])
            if segment >= 0 and len(at):
                settled[at] = self._settle(int(segment), settling[at], moves, at)
        self._forget(settling[~settled])
        # Payments move the year as they were paid, of whatever cell and segment.
        self.counters[:, self.own[settling]] += moves
        for row in rows[cancelling].tolist():
            self._give_back(row)

    def _settle(self, segment: int, rows: Ints, moves: Ints, at: Ints) -> Bools:
        """Answer visits by one segment; the counters that no payment tells go into ``moves[:, at]``."""
        visits = self.visits.take(rows)
        run = settle_visits(self.tariff.compiled[segment], visits, self._ledger(rows))
        for name in MedicalSettlements.SPECS:
            getattr(self.answers, name)[rows] = getattr(run.settlements, name)
        done = np.flatnonzero(run.settlements.priced)
        own = run.ledger.settled.fund_moves
        moves[1:, at[done], :_PAID] = own[:, 1:, :_PAID].transpose(1, 0, 2)
        for place, row in enumerate(rows[done].tolist()):
            if row in self.cancelled:
                self.kept[row] = moves[:, at[done[place]]].copy(), run.ledger.settled.take(np.array([place]))
        self._keep_months(rows, run.ledger.months)
        return np.asarray(run.settlements.priced)

    def _give_back(self, row: int) -> None:
        """A cancellation: its settlement's moves come off, its month is counted without it."""
        source = int(self.taken_back[row])
        if source < 0:
            return
        moves, settled = self.kept.get(source, (self.paid[:, source], None))
        self.counters[:, self.own[source]] -= moves
        if settled is None or not settled.month_moves.any():
            return
        rows = np.array([row])
        ledger = MedicalLedger(MedicalState.zeros(0), self._months_of(np.array([source])), settled)
        run = settle_visits(self.tariff.compiled[int(self.segment[source])], self.visits.take(rows), ledger)
        self._keep_months(np.array([source]), run.ledger.months)

    def _ledger(self, rows: Ints) -> MedicalLedger:
        """The counters of the persons and households of these visits, each person's once."""
        groups = self.own[rows]
        parts = []
        for fund, counter in enumerate(self.counters[:, groups]):
            some = np.arange(len(groups)) if fund == 0 else np.flatnonzero(counter.any(axis=1))
            deductible, scope, paid = counter[some].T.copy()
            of = groups[some]
            parts.append(
                MedicalState(
                    self.person[of], self.year[of], deductible, paid, scope, np.full(len(of), fund, np.int64)
                )
            )
        return MedicalLedger(MedicalState.concatenate(parts), self._months_of(rows), MedicalSettled.zeros(0))

    def _months_of(self, rows: Ints) -> MedicalMonths:
        return self.months.take(self._owned(rows))

    def _keep_months(self, rows: Ints, after: MedicalMonths) -> None:
        if len(self.months) or len(after):
            self.months = MedicalMonths.concatenate([self.months.take(~self._owned(rows)), after])

    def _owned(self, rows: Ints) -> Bools:
        """Months of these visits' persons and households."""
        owners = np.concatenate([self.visits.person[rows], self.visits.household[rows]])
        return np.isin(self.months.owner, owners)

    def _owners(self, row: int) -> Iterator[tuple[str, int]]:
        yield "year", int(self.own[row])
        if self.visits.household[row] != NULL:
            yield "household", int(self.visits.household[row])

    def _mark_unsound(self, rows: Ints) -> None:
        if self.unsound:
            self.sound[rows] = [
                not any(owner in self.unsound for owner in self._owners(row)) for row in rows.tolist()
            ]

    def _forget(self, rows: Ints) -> None:
        """Visits that could not be settled: what no payment tells of their owners is unknown from now on."""
        if self.remembers:
            for row in rows.tolist():
                self.unsound.update(self._owners(row))


def _taken_back(visits: MedicalVisits) -> Ints:
    """Row that each visit takes back, −1 where it is no cancellation or names no earlier settlement; int64 (n,)."""
    source = np.full(len(visits), -1, np.int64)
    asking = np.flatnonzero(visits.cancels >= 0)
    by_sequence = np.argsort(visits.sequence, kind="stable")
    at = np.searchsorted(visits.sequence[by_sequence], visits.cancels[asking])
    found = by_sequence[np.minimum(at, max(len(visits) - 1, 0))] if len(visits) else at
    good = (visits.sequence[found] == visits.cancels[asking]) & (visits.person[found] == visits.person[asking])
    good &= (visits.cancels[found] < 0) & (visits.cancels[asking] < visits.sequence[asking])
    asking, found = asking[good], found[good]
    _, first = np.unique(found, return_index=True)
    source[asking[first]] = found[first]
    return source


def _rounds(visits: MedicalVisits) -> Iterator[Ints]:
    """Rows in settlement order, part by part, so that each part has a person and a household once."""
    order = np.argsort(visits.sequence, kind="stable")
    if (visits.household != NULL).any():
        level = _levels(visits, order)
    else:
        by_person = order[np.argsort(visits.person[order], kind="stable")]
        begins = np.ones(len(order), np.bool_)
        begins[1:] = np.diff(visits.person[by_person]) != 0
        places = np.arange(len(order))
        level = np.empty(len(order), np.int64)
        level[by_person] = places - np.maximum.accumulate(np.where(begins, places, 0))
    by_level = np.argsort(level, kind="stable")
    yield from np.split(by_level, np.flatnonzero(np.diff(level[by_level])) + 1) if len(order) else ()


def _levels(visits: MedicalVisits, order: Ints) -> Ints:
    """One more than the highest level among the earlier visits of the same person or household."""
    level = np.zeros(len(order), np.int64)
    reached: dict[tuple[bool, int], int] = {}
    persons, households = visits.person.tolist(), visits.household.tolist()
    for row in order.tolist():
        owners = [(False, persons[row])] + ([(True, households[row])] if households[row] != NULL else [])
        level[row] = max(reached.get(owner, -1) for owner in owners) + 1
        reached.update(dict.fromkeys(owners, int(level[row])))
    return level
