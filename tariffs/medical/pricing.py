"""Settle outpatient visits against a person's year of deductible and fund consumption."""

from __future__ import annotations

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.compiler import CompiledTariff
from tariffs.medical import kernels
from tariffs.medical.columns import MedicalSettlements, MedicalState, MedicalVisits
from tariffs.medical.steps import MedicalProgram
from tariffs.owners import Groups, calendar_year, group_rows
from tariffs.parameters import in_range
from tariffs.rounding import RATIO_ONE, RoundingMode, divide

_KERNEL_ROUNDING: dict[RoundingMode, int] = {
    "half_up": kernels.HALF_UP,
    "half_even": kernels.HALF_EVEN,
    "down": kernels.DOWN,
    "up": kernels.UP,
}


def settle_medical(
    compiled: CompiledTariff, visits: MedicalVisits, state: MedicalState
) -> tuple[MedicalSettlements, MedicalState]:
    """Settle each visit in its person's settlement order; answers stand in the order of ``visits``.

    Returns the interface fields and the counters after the last visit; ``state`` is not changed. A visit
    whose (insured, level) is not published or whose amounts are negative or absurd is not priced and moves
    no counter. Raises TariffKindError for another kind, ValueError when a person's sequence repeats.
    """
    program = compiled.medical_program()
    groups = group_rows(state.person, state.year, visits.person, calendar_year(visits.settle_day), visits.sequence)
    covered = _covered(program, visits)
    cell = np.where(covered, program.cells(visits.insured, visits.level), -1)
    answers = MedicalSettlements.zeros(len(visits))
    answers.segment[:] = compiled.segment
    answers.priced[:] = covered
    _fill_scope(program, visits.take(covered), answers, covered)
    after = _fill_fund(program, answers, cell, groups, state)
    answers.fund_pay_sumamt[:] = answers.hifp_pay
    answers.psn_part_amt[:] = answers.medfee_sumamt - answers.fund_pay_sumamt
    _fill_waterfall(program, visits, answers)
    return answers, after


def _covered(program: MedicalProgram, visits: MedicalVisits) -> Bools:
    covered = program.cells(visits.insured, visits.level) >= 0
    amounts = (visits.category_a, visits.category_b, visits.category_c, visits.over_limit)
    for amount in (*amounts, visits.account_available, visits.purse_available):
        covered &= in_range(amount)
    return covered


def _fill_scope(program: MedicalProgram, visits: MedicalVisits, answers: MedicalSettlements, rows: Bools) -> None:
    """The bill by category: what is out of the list, above a ceiling, prepaid, and in scope."""
    prepaid = divide(visits.category_b * program.prepay_ratio, RATIO_ONE, program.prepay_rounding)
    scope = visits.category_a + visits.category_b - prepaid
    answers.fulamt_ownpay_amt[rows] = visits.category_c
    answers.overlmt_selfpay[rows] = visits.over_limit
    answers.preselfpay_amt[rows] = prepaid
    answers.inscp_scp_amt[rows] = scope
    answers.medfee_sumamt[rows] = visits.category_c + visits.over_limit + prepaid + scope


def _fill_fund(
    program: MedicalProgram, answers: MedicalSettlements, cell: Ints, groups: Groups, state: MedicalState
) -> MedicalState:
    deductible = groups.carried(state.deductible_consumed)
    fund = groups.carried(state.fund_consumed)
    capped = np.zeros(len(cell), np.bool_)
    kernels.settle_years(
        groups.order,
        groups.of_row,
        answers.inscp_scp_amt,
        cell,
        program.deductible,
        program.share,
        program.cap,
        _KERNEL_ROUNDING[program.share_rounding],
        deductible,
        fund,
        answers.act_pay_dedc,
        answers.hifp_pay,
        capped,
    )
    reached_share = answers.inscp_scp_amt > answers.act_pay_dedc
    rule = np.where(reached_share, program.rule_share, program.rule_below_deductible)
    rule = np.where(capped, program.rule_capped, rule)
    answers.rule[:] = np.where(answers.priced, rule, 0)
    return MedicalState(groups.owner, groups.year, deductible, fund)


def _fill_waterfall(program: MedicalProgram, visits: MedicalVisits, answers: MedicalSettlements) -> None:
    left = answers.psn_part_amt.copy()
    for payer in program.order[:-1]:
        available, paid = (
            (visits.account_available, answers.acct_pay)
            if payer == "account"
            else (visits.purse_available, answers.purse_pay)
        )
        np.minimum(left, available, out=paid, where=answers.priced)
        left -= paid
    answers.psn_cash_pay[:] = answers.psn_part_amt - answers.acct_pay
