"""Settle outpatient visits against what persons and households have consumed in their years and months.

Each fund is one pass over all visits, because its part depends only on what earlier funds left of the same visits
and on its own counters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Ints, read_only
from tariffs.compiler import CompiledTariff
from tariffs.medical import kernels
from tariffs.medical.bills import amounts_in_range, fill_bill, relation_index
from tariffs.medical.cancellations import find_cancelled, find_reviews
from tariffs.medical.columns import (
    AMOUNT_FIELDS,
    MedicalLedger,
    MedicalRun,
    MedicalSettled,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
    paid_by_funds,
)
from tariffs.medical.months import MonthRows, month_rows, settle_months
from tariffs.medical.program import MedicalProgram
from tariffs.medical.years import FundYears, open_years, settle_funds
from tariffs.threads import in_ranges

_Int = TypeVar("_Int", np.int32, np.int64)
_NOTHING = np.empty(0, np.int64)


def settle_medical(
    compiled: CompiledTariff, visits: MedicalVisits, state: MedicalState, *, threads: int = 1
) -> tuple[MedicalSettlements, MedicalState]:
    """Settle each visit in its person's settlement order; answers stand in the order of ``visits``.

    Returns the interface fields and the counters after the last visit; ``state`` is not changed. A visit
    whose terms are not published or whose amounts are negative or absurd is not priced and moves no counter; a
    cancellation finds only settlements of this batch. Raises TariffKindError for another kind, ValueError when a
    person's sequence repeats or when the tariff limits months, whose counters this state does not hold.
    """
    if compiled.medical_program().month is not None:
        raise ValueError(f"{compiled.tariff_id} limits months: settle it with settle_visits and its ledger")
    ledger = replace(MedicalLedger.empty(), years=state)
    run = _Batch(compiled, compiled, visits, ledger, threads).settle()
    return run.answers, run.years.state()


def settle_visits(
    compiled: CompiledTariff,
    visits: MedicalVisits,
    ledger: MedicalLedger,
    *,
    catalogue: CompiledTariff | None = None,
    threads: int = 1,
) -> MedicalRun:
    """Settle visits in settlement order, and cancellations of settlements of this batch or of the ledger.

    ``catalogue`` is the tariff of the place of care where that is not home: its 先行自付 of 乙 holds, all benefits
    are those of ``compiled`` (home), whose funds pay. A cancellation restores the counters for all rows after it
    and changes no settlement in between: those are listed in the run's ``reviews``. A visit that comes to a later
    batch than its sequence belongs to is settled on the counters as they stand. ``ledger`` is not changed.
    Covers and raises as :func:`settle_medical`, months included.
    """
    batch = _Batch(compiled, catalogue or compiled, visits, ledger, threads).settle()
    settled = batch.settled_after(ledger.settled)
    after = MedicalLedger(batch.years.state(), batch.months, settled)
    month = batch.program.month
    reviews = find_reviews(settled, visits, batch.source, max(1, month.repeat_within if month else 1))
    return MedicalRun(batch.answers, after, reviews)


class _Batch:
    """One batch on its way through the settlement."""

    def __init__(
        self,
        compiled: CompiledTariff,
        catalogue: CompiledTariff,
        visits: MedicalVisits,
        ledger: MedicalLedger,
        threads: int,
    ) -> None:
        self.threads = threads
        self.program: MedicalProgram = compiled.medical_program()
        self.catalogue: MedicalProgram = catalogue.medical_program()
        self.given = visits
        self.months = ledger.months
        cell = self.program.basic.cells.of(visits, threads)
        self.relation = relation_index(self.program, visits, cell)
        rows = month_rows(self.program.month, visits)
        cancelling = visits.cancels >= 0
        self.settled_here: Bools = (cell >= 0) & (self.relation >= 0) & (rows.terms >= 0) & ~cancelling
        self.settled_here &= amounts_in_range(visits)
        self.source: Ints = find_cancelled(visits, self.settled_here, ledger.settled)
        self.past, self._local = _needed(ledger.settled, self.source, len(visits))
        self.cancels_any = bool((self.source >= 0).any())
        owner = self._with_source(rows.owner, self.past.limit_owner)
        # A cancellation counts in the year and month of what it takes back.
        self.visits = replace(
            visits,
            settle_day=self._with_source(visits.settle_day, self.past.settle_day),
            program=self._with_source(visits.program, self.past.program),
        )
        self.cell = np.where(self.settled_here, cell, -1)
        self.rows = MonthRows(np.where(self.settled_here, rows.terms, -1), rows.program_rate, owner)
        self.years: FundYears = open_years(ledger.years, self.visits, threads)
        self.month_moves = np.zeros((0, 0), np.int64)
        self.answers = MedicalSettlements.zeros(len(visits))
        self.answers.segment[:] = compiled.segment

    def _with_source(self, column: npt.NDArray[_Int], past: npt.NDArray[_Int]) -> npt.NDArray[_Int]:
        """A column whose cancelling rows have the value of what they take back."""
        if not self.cancels_any:
            return column
        pool = np.concatenate([column, past])
        return np.where(self._local >= 0, pool[self._local], column)

    def settle(self) -> _Batch:
        """Fill the answers and move the counters."""
        answers, program = self.answers, self.program
        answers.priced[:] = self.settled_here
        relations = program.relations
        fill_bill(self.catalogue.prepayment, relations, self.relation, self.visits, answers, self.threads)
        factor = relations.share_factor[np.maximum(self.relation, 0)] if len(relations.code) > 1 else _NOTHING
        source = self._local if self.cancels_any else _NOTHING
        settle_funds(program, self.visits, self.cell, factor, source, self.past, answers, self.years)
        self.months, self.month_moves = settle_months(
            program.month, self.visits, self.rows, self._local, self.past, answers, self.months
        )
        answers.fund_pay_sumamt[:] = paid_by_funds(answers)
        _fill_waterfall(program, self.visits, answers, self.threads)
        answers.payer_region[:] = np.where(answers.priced, self.visits.home_region, 0)
        self._mirror()
        return self

    def _mirror(self) -> None:
        """Cancelling rows: the amounts taken back, with a minus."""
        rows = np.flatnonzero(self._local >= 0)
        if not len(rows):
            return
        taken = self._local[rows]
        for name in AMOUNT_FIELDS:
            pool = np.concatenate([getattr(self.answers, name), getattr(self.past, name)])
            getattr(self.answers, name)[rows] = -pool[taken]
        for name in ("rule", "segment", "payer_region"):
            pool = np.concatenate([getattr(self.answers, name), getattr(self.past, name)])
            getattr(self.answers, name)[rows] = pool[taken]
        self.answers.priced[rows] = True

    def settled_after(self, settled: MedicalSettled) -> MedicalSettled:
        """The ledger's settlements with those of this batch, in the batch's order."""
        count = len(self.visits)
        rows = np.flatnonzero(self.settled_here)
        cancelled_by = np.concatenate([np.full(count, NULL, np.int64), settled.cancelled_by])
        taking = np.flatnonzero(self.source >= 0)
        cancelled_by[self.source[taking]] = self.given.sequence[taking]
        listed = MedicalSettled(
            **{name: getattr(self.answers, name)[rows] for name in MedicalSettlements.SPECS},
            person=self.visits.person[rows],
            sequence=self.visits.sequence[rows],
            settle_day=self.visits.settle_day[rows],
            program=self.visits.program[rows],
            limit_owner=self.rows.owner[rows],
            cancelled_by=cancelled_by[rows],
            fund_moves=self.years.fund_moves(rows),
            month_moves=self.month_moves[rows],
        )
        return MedicalSettled.concatenate([replace(settled, cancelled_by=cancelled_by[count:]), listed])


def _needed(settled: MedicalSettled, source: Ints, count: int) -> tuple[MedicalSettled, Ints]:
    """The past settlements that are taken back, and ``source`` counted in them instead of in all."""
    behind = source >= count
    rows, position = np.unique(source[behind] - count, return_inverse=True)
    local = source.copy()
    local[behind] = position.reshape(-1) + count
    return settled.take(rows), local


def _fill_waterfall(
    program: MedicalProgram, visits: MedicalVisits, answers: MedicalSettlements, threads: int
) -> None:
    places = {"account": kernels.ACCOUNT, "family": kernels.FAMILY, "purse": kernels.PURSE}
    named = [places[payer] for payer in program.order[:-1]]
    order = (*named, -1, -1, -1)[:3]
    available = read_only(visits.account_available, visits.family_available, visits.purse_available)

    def fill(first: int, last: int) -> None:
        kernels.fill_payers(
            first,
            last,
            answers.priced,
            answers.fund_pay_sumamt,
            answers.medfee_sumamt,
            answers.inscp_scp_amt,
            available,
            order,
            program.accounts_cover_scope_only,
            answers.psn_part_amt,
            (answers.acct_pay, answers.acct_mulaid_pay, answers.purse_pay),
            answers.psn_cash_pay,
        )

    in_ranges(len(visits), fill, threads)
