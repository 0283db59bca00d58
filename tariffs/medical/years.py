"""Funds and the years of their counters: what each fund pays of a batch, and the counters after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.medical import kernels
from tariffs.medical.columns import FUND_FIELDS, MedicalSettled, MedicalSettlements, MedicalState, MedicalVisits
from tariffs.medical.program import FundTerms, MedicalProgram
from tariffs.owners import Groups, calendar_year, group_rows
from tariffs.threads import CHUNK_ROWS

_COUNTERS = ("deductible_consumed", "scope_consumed", "fund_consumed")


@dataclass(frozen=True)
class FundYears:
    """Counters of every fund that a state or a tariff knows, int64 (groups, 3) each, and what visits moved.

    ``moved[fund]`` is int64 (visits and past settlements, 3): deductible, scope above it, payment.
    """

    groups: Groups
    counters: dict[int, Ints]
    moved: dict[int, Ints]

    def state(self) -> MedicalState:
        """The counters as rows; the basic fund has one for every person's year met, the others where they moved."""
        parts = []
        for fund in sorted({0, *self.counters}):
            counter = self.counters.get(fund, np.zeros((len(self.groups.owner), 3), np.int64))
            rows = slice(None) if fund == 0 else counter.any(axis=1)
            deductible, scope, paid = counter[rows].T.copy()
            person, year = self.groups.owner[rows], self.groups.year[rows]
            parts.append(MedicalState(person, year, deductible, paid, scope, np.full(len(person), fund, np.int64)))
        return MedicalState.concatenate(parts)

    def fund_moves(self, rows: Ints) -> Ints:
        """What these visits moved, int64 (rows, funds, 3)."""
        moves = np.zeros((len(rows), len(FUND_FIELDS), 3), np.int64)
        for fund, moved in self.moved.items():
            moves[:, fund] = moved[rows]
        return moves


def open_years(state: MedicalState, visits: MedicalVisits, threads: int) -> FundYears:
    """The counters before a batch; ValueError when the state holds a (fund, person, year) twice."""
    year = calendar_year(visits.settle_day)
    # A state of one fund has a row per pair; with several funds the pairs come first and each fund finds its own.
    if not state.fund.any():
        groups = group_rows(state.person, state.year, visits.person, year, visits.sequence, threads=threads)
        return FundYears(groups, {0: _opened(groups, groups.of_state, state)}, {})
    pairs, inverse = np.unique(np.stack([state.person, state.year]), axis=1, return_inverse=True)
    groups = group_rows(pairs[0], pairs[1], visits.person, year, visits.sequence, threads=threads)
    at = groups.of_state[inverse.reshape(-1)]
    counters = {}
    for fund in np.unique(state.fund):
        chosen = state.fund == fund
        if len(np.unique(at[chosen])) != np.count_nonzero(chosen):
            raise ValueError("the state holds a (fund, person, year) twice")
        counters[int(fund)] = _opened(groups, at[chosen], state.take(chosen))
    return FundYears(groups, counters, {})


def _opened(groups: Groups, at: Ints, state: MedicalState) -> Ints:
    counters = np.zeros((len(groups.owner), 3), np.int64)
    for kind, name in enumerate(_COUNTERS):
        counters[at, kind] = getattr(state, name)
    return counters


def settle_funds(
    program: MedicalProgram,
    visits: MedicalVisits,
    cell: Ints,
    factor: Ints,
    source: Ints,
    past: MedicalSettled,
    answers: MedicalSettlements,
    years: FundYears,
) -> None:
    """Fill the fund fields, the deductible and the rule of every visit, moving the counters of ``years``.

    ``cell`` is the visit's cell of the basic fund (−1 = not settled here), ``factor`` that of its share in
    1/10,000 (empty where all have 1), ``source`` the row it takes back (those of ``past`` follow those of the batch;
    empty where none does).
    """
    moved, capped = _walk(program.basic, visits, answers.inscp_scp_amt, cell, factor, source, past, years)
    answers.act_pay_dedc[:] = moved[:, kernels.DEDUCTIBLE]
    answers.hifp_pay[:] = moved[:, kernels.FUND]
    rule = np.where(moved[:, kernels.SCOPE] > 0, program.basic.rule, program.rule_below_deductible)
    rule = np.where(capped, program.basic.rule_capped, rule)
    paid = answers.hifp_pay.copy()
    whole = np.empty(0, np.int64)
    threads = years.groups.threads
    for terms in program.supplements:
        own_cell = np.where(cell >= 0, terms.cells.of(visits, threads), -1)
        amount = np.maximum(_counting(terms.base, answers) - paid, 0)
        moved, _ = _walk(terms, visits, amount, own_cell, whole, source, past, years)
        getattr(answers, FUND_FIELDS[terms.fund])[:] = moved[:, kernels.FUND]
        paid += moved[:, kernels.FUND]
        rule = np.where(moved[:, kernels.FUND] > 0, terms.rule, rule)
    answers.rule[:] = np.where(answers.priced, rule, 0)
    _give_back_others(visits, source, past, years)


def _counting(base: str, answers: MedicalSettlements) -> Ints:
    """The part of each bill that a supplementary fund looks at, before what funds have paid of it."""
    if base == "in_scope":
        return answers.inscp_scp_amt
    if base == "in_scope_and_prepaid":
        return answers.inscp_scp_amt + answers.preselfpay_amt
    return answers.medfee_sumamt


def _walk(
    terms: FundTerms,
    visits: MedicalVisits,
    amount: Ints,
    cell: Ints,
    factor: Ints,
    source: Ints,
    past: MedicalSettled,
    years: FundYears,
) -> tuple[Ints, Bools]:
    """Run the kernel for one fund; what the visits moved (a view of ``years.moved``) and where a cap held."""
    moved = np.zeros((len(visits) + len(past), 3), np.int64)
    moved[len(visits) :] = past.fund_moves[:, terms.fund]
    counters = years.counters.setdefault(terms.fund, np.zeros((len(years.groups.owner), 3), np.int64))
    capped = np.zeros(len(visits), np.bool_)
    groups = years.groups

    def run(order: Ints, begins: Ints, of_run: Ints, columns: tuple[Ints, ...], results: tuple[Ints, Bools]) -> None:
        kernels.settle_years(
            order,
            begins,
            of_run,
            0,
            len(of_run),
            *columns,
            terms.terms,
            terms.band_first,
            terms.band_edge,
            terms.band_share,
            terms.form,
            terms.deductible_per_visit,
            terms.bands.period == "visit",
            terms.bands.counted_from == "zero",
            terms.rounding,
            counters,
            *results,
        )

    def walk(first: int, last: int) -> None:
        begins, of_run = groups.begins[first : last + 1], groups.of_run[first:last]
        if len(source):
            # What a row takes back may lie anywhere: in place.
            run(groups.order, begins, of_run, (source, amount, cell, factor), (moved, capped))
            return
        # Gathered into order first: the walk would otherwise wait for memory at every row.
        rows = groups.order[begins[0] : begins[-1]]
        gathered = (source, amount.take(rows), cell.take(rows), factor.take(rows) if len(factor) else factor)
        block = np.zeros((len(rows), 3), np.int64), np.zeros(len(rows), np.bool_)
        run(np.arange(len(rows)), begins - begins[0], of_run, gathered, block)
        kernels.put_back(rows, *block, moved, capped)

    groups.each_run(walk, CHUNK_ROWS)
    years.moved[terms.fund] = moved
    return moved[: len(visits)], capped


def _give_back_others(visits: MedicalVisits, source: Ints, past: MedicalSettled, years: FundYears) -> None:
    """Counters of funds that paid a cancelled settlement but are no longer in the tariff."""
    if not len(source):
        return
    rows = np.flatnonzero(source >= len(visits))
    for fund in range(len(FUND_FIELDS)):
        given = past.fund_moves[source[rows] - len(visits), fund]
        if fund in years.moved or not given.any():
            continue
        counters = years.counters.setdefault(fund, np.zeros((len(years.groups.owner), 3), np.int64))
        np.subtract.at(counters, years.groups.of_row[rows], given)
