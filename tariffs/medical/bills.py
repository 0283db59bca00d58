"""The bill before any fund: which visits a tariff covers, and what of their amounts is in scope."""

from __future__ import annotations

import numpy as np

from tariffs.columns import Bools, Ints, read_only
from tariffs.medical import kernels
from tariffs.medical.cells import ANY, RELATION
from tariffs.medical.columns import MedicalSettlements, MedicalVisits
from tariffs.medical.program import MedicalProgram, Prepayment, Relations
from tariffs.parameters import in_range
from tariffs.rounding import KERNEL_ROUNDING
from tariffs.threads import in_ranges


def relation_index(program: MedicalProgram, visits: MedicalVisits, cell: Ints) -> Ints:
    """Row of ``program.relations`` of each visit, −1 where the tariff does not cover its place of care.

    A relation that the visit's own share cell names needs no other mention: it has the terms of home.
    """
    relation = position_of(program.relations.code, visits.relation)
    named = program.basic.cells.keys[np.maximum(cell, 0), RELATION] != ANY
    return np.where((relation < 0) & named, 0, relation)


def position_of(codes: Ints, asked: Ints) -> Ints:
    """Position in ``codes`` of each asked code, −1 where it is not; int64."""
    position = np.full(len(asked), -1, np.int64)
    for index, code in enumerate(codes):
        position[asked == code] = index
    return position


def amounts_in_range(visits: MedicalVisits) -> Bools:
    """Visits none of whose amounts is negative, missing or absurd."""
    good = np.ones(len(visits), np.bool_)
    for amount in (
        visits.category_a,
        visits.category_b,
        visits.category_b_service,
        visits.category_b_material,
        visits.category_c,
        visits.over_limit,
        visits.account_available,
        visits.family_available,
        visits.purse_available,
        visits.program_limit,
    ):
        good &= in_range(amount)
    return good


def fill_bill(
    prepayment: Prepayment,
    relations: Relations,
    relation: Ints,
    visits: MedicalVisits,
    answers: MedicalSettlements,
    threads: int,
) -> None:
    """The bill of the rows that have a price, by category: out of the list, above a ceiling, prepaid, in scope.

    ``prepayment`` is that of the place of care, ``relations`` and ``relation`` (row of it per visit) are home's.
    """
    categories = read_only(
        visits.category_a, visits.category_b, visits.category_b_service, visits.category_b_material
    )
    roundings = KERNEL_ROUNDING[prepayment.rounding], KERNEL_ROUNDING[relations.rounding]

    def fill(first: int, last: int) -> None:
        kernels.fill_bills(
            first,
            last,
            answers.priced,
            categories,
            prepayment.ratios,
            roundings[0],
            relation,
            relations.self_pay,
            roundings[1],
            visits.category_c,
            visits.over_limit,
            answers.preselfpay_amt,
            answers.inscp_scp_amt,
            answers.medfee_sumamt,
        )

    in_ranges(len(visits), fill, threads)
    np.multiply(visits.category_c, answers.priced, out=answers.fulamt_ownpay_amt)
    np.multiply(visits.over_limit, answers.priced, out=answers.overlmt_selfpay)
