"""Monthly limits: what a person or household still pays in a month, and the second payer before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import NULL, Ints
from tariffs.medical import kernels
from tariffs.medical.bills import position_of
from tariffs.medical.columns import (
    FUND_FIELDS,
    MONTH_MOVES,
    MedicalMonths,
    MedicalSettled,
    MedicalSettlements,
    MedicalVisits,
    paid_by_funds,
)
from tariffs.medical.program import MonthTerms

_COUNTERS = ("medical", "burden", "relief", "reached")
_NO_TERMS = np.zeros((1, 4), np.int64)


@dataclass(frozen=True)
class MonthRows:
    """What a monthly limit reads of each visit, int64 of shape (visits,).

    ``terms``: row of the terms, −1 where the limit does not know the visit; ``program_rate`` as the kernel reads
    it; ``owner``: person or household, NULL without a limit.
    """

    terms: Ints
    program_rate: Ints
    owner: Ints


def month_rows(month: MonthTerms | None, visits: MedicalVisits) -> MonthRows:
    """Look up class, programme and owner; without a limit only visits of a programme are unknown."""
    if month is None:
        terms = np.where(visits.program == 0, 0, -1)
        none = np.full(len(visits), kernels.NO_PROGRAM, np.int64)
        return MonthRows(terms, none, np.full(len(visits), NULL, np.int64))
    income_class = visits.income_class
    if len(month.income_edges):
        derived = month.income_classes[np.searchsorted(month.income_edges, visits.income, side="left")]
        income_class = np.where(visits.income_exempt != 0, month.exempt_class, derived)
    terms = position_of(month.income_class, income_class)
    programme = position_of(month.program_code, visits.program)
    rates = np.append(month.program_rate, kernels.NO_PROGRAM)[programme]
    owner = visits.household if month.per_household else visits.person
    known = ((programme >= 0) | (visits.program == 0)) & (owner != NULL)
    return MonthRows(np.where(known, terms, -1), rates, owner)


def settle_months(
    month: MonthTerms | None,
    visits: MedicalVisits,
    rows: MonthRows,
    source: Ints,
    past: MedicalSettled,
    answers: MedicalSettlements,
    months: MedicalMonths,
) -> tuple[MedicalMonths, Ints]:
    """Fill the limit's and the second payer's fund field and the rule; returns counters after and moves.

    ``rows.terms`` is −1 on rows that are not settled here; on cancellations ``rows.owner`` is that of the
    cancelled settlement. Moves are int64 (visits and past settlements, MONTH_MOVES). Raises ValueError when an
    owner has one sequence twice in a month, or the state one row twice.
    """
    moved = np.zeros((len(visits) + len(past), MONTH_MOVES), np.int64)
    if month is None and not past.month_moves.any():
        return months, moved
    moved[len(visits) :] = past.month_moves
    groups = _group(months, visits, rows)
    counters = np.zeros((len(groups.month), 4), np.int64)
    for kind, name in enumerate(_COUNTERS):
        counters[groups.of_state, kind] = getattr(months, name)
    paid = paid_by_funds(answers)
    kernels.settle_months(
        np.argsort(visits.sequence, kind="stable"),
        source,
        groups.of_row,
        groups.of_program,
        answers.inscp_scp_amt,
        np.maximum(answers.inscp_scp_amt - paid, 0),
        rows.terms if month else np.full(len(visits), -1, np.int64),
        rows.program_rate,
        visits.program_limit,
        month.terms if month else _NO_TERMS,
        month.program_terms if month else 0,
        month.counted_from if month else 0,
        month.repeat_after if month else 0,
        month.repeat_within if month else 0,
        month.unit if month else 1,
        month.rounding if month else 0,
        groups.first_of_owner,
        groups.month,
        counters,
        moved,
    )
    if month is not None:
        _fill(month, moved[: len(visits)], answers)
    alive = counters.any(axis=1)
    return MedicalMonths(
        groups.program[alive], groups.owner[alive], groups.month[alive], *counters[alive].T.copy()
    ), moved


def _fill(month: MonthTerms, moved: Ints, answers: MedicalSettlements) -> None:
    second = moved[:, kernels.PROGRAM_RELIEF]
    relief = moved[:, kernels.VISIT_RELIEF] + moved[:, kernels.RELIEF]
    getattr(answers, FUND_FIELDS[month.fund])[:] = relief
    if month.rule_program:
        getattr(answers, FUND_FIELDS[month.program_fund])[:] = second
    answers.rule[relief > 0] = month.rule
    answers.rule[second > 0] = month.rule_program
    answers.rule[moved[:, kernels.RELIEF] > 0] = month.rule


@dataclass(frozen=True)
class _Groups:
    """Distinct (program, owner, month), sorted: where state rows, visits and their programmes stand in them.

    int64; ``of_program`` is −1 for visits without a programme, ``first_of_owner`` the first group of the same
    (program, owner).
    """

    program: Ints
    owner: Ints
    month: Ints
    first_of_owner: Ints
    of_state: Ints
    of_row: Ints
    of_program: Ints


def _group(months: MedicalMonths, visits: MedicalVisits, rows: MonthRows) -> _Groups:
    month = month_number(visits)
    with_program = np.flatnonzero(visits.program != 0)
    program = np.concatenate([months.program, np.zeros(len(visits), np.int64), visits.program[with_program]])
    owner = np.concatenate([months.owner, rows.owner, visits.person[with_program]])
    at = np.concatenate([months.month, month, month[with_program]])
    by_key = np.lexsort((at, owner, program))
    new_owner = np.ones(len(by_key), np.bool_)
    new_owner[1:] = (np.diff(program[by_key]) != 0) | (np.diff(owner[by_key]) != 0)
    begins = new_owner.copy()
    begins[1:] |= np.diff(at[by_key]) != 0
    group = np.empty(len(by_key), np.int64)
    group[by_key] = np.cumsum(begins) - 1
    firsts = np.where(new_owner[begins], np.arange(np.count_nonzero(begins)), 0)
    of_state, of_row, of_program = np.split(group, [len(months), len(months) + len(visits)])
    if len(np.unique(of_state)) != len(of_state):
        raise ValueError("the state holds a (program, owner, month) twice")
    _refuse_ambiguous(visits, rows, of_row)
    programmes = np.full(len(visits), -1, np.int64)
    programmes[with_program] = of_program
    by_group = by_key[begins]
    return _Groups(
        program[by_group], owner[by_group], at[by_group], np.maximum.accumulate(firsts), of_state, of_row, programmes
    )


def month_number(visits: MedicalVisits) -> Ints:
    """Months since January of year 0 of each visit's day, int64."""
    return visits.settle_day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12


def _refuse_ambiguous(visits: MedicalVisits, rows: MonthRows, group: Ints) -> None:
    order = np.lexsort((visits.sequence, group))
    same = (np.diff(group[order]) == 0) & (np.diff(visits.sequence[order]) == 0) & (rows.owner[order][1:] != NULL)
    if same.any():
        row = order[1:][same][0]
        raise ValueError(f"owner {rows.owner[row]} has the sequence {visits.sequence[row]} twice in this month")
