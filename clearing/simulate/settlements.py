"""Medical rows: outpatient visits as the insurer settled them, and a few cancellations.

The city's insurer keeps each person's year (deductible and fund consumed) with the population; a person visits at
most once a day, so a day's settlements need no order.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from clearing.simulate.city import City
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.population import Population
from clearing.simulate.table import Bools, Ints, Table, length

_ONE: Final = 10_000
_CANCEL_EVERY: Final = 40
_PURSE_LIMIT: Final = 20_000
_LARGEST_ERROR: Final = 100
_INSURED_CODES: Final = {310: 1, 390: 2}
"""Insured types of the tariff file (national code list) → the record's employee and resident."""

_UNUSED_FUNDS: Final = ("cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay")


class InsurerTerms:
    """The medical tariff's numbers by (insured type, level), on one date."""

    def __init__(self, path: Path, date: datetime.date) -> None:
        content = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
        steps = {name: terms for step in content["steps"] for name, terms in step.items()}
        self.year = date.year
        self.prepay: int = steps["prepay"]["category_b_per_10000"]
        self.deductible = self._square(steps["deductible"]["by"], "amount")
        self.share = self._square(steps["share"]["by"], "per_10000")
        dated = content["values"][steps["annual_cap"]["by"]["use"]]
        caps = dated[max(day for day in dated if day <= date)]
        self.cap = np.zeros(3, np.int64)
        for row in caps:
            self.cap[_INSURED_CODES[row["insured"]]] = row["amount"]

    @staticmethod
    def _square(rows: list[dict[str, Any]], value: str) -> Ints:
        square = np.zeros((3, 4), np.int64)
        for row in rows:
            square[_INSURED_CODES[row["insured"]], row["level"]] = row[value]
        return square


def add_settlements(
    rows: Table, city: City, population: Population, terms: InsurerTerms, plan: FaultPlan, rng: np.random.Generator
) -> Table:
    """Fill in amounts of medical rows; returns their settlement columns.

    The last rows cancel some of the first ones that moved no purse; the others settle a visit. ``fund_error`` is
    what the fund bears too much by a mistake of the insurer, fen.
    """
    count = length(rows)
    _begin_year(population, terms.year)
    cancels = count // _CANCEL_EVERY
    visits = count - cancels
    detail = _visit(rows, city, population, terms, rng)
    place = np.arange(count)
    _miscalculate(rows, detail, (place >= cancels) & (place < visits), plan, rng)
    purse = (rng.random(count) < 0.6) & (detail["psn_cash_pay"] > 0)
    purse[: 2 * cancels] = False
    amount = np.where(purse, np.minimum(detail["psn_cash_pay"], _PURSE_LIMIT), 0)
    cancelled = np.arange(cancels)
    for column in detail.values():
        column[visits:] = column[cancelled]
    detail["cancel"][visits:] = 1
    amount[visits:] = 0
    for name in ("card", "venue", "terminal"):
        rows[name][visits:] = rows[name][cancelled]
    rows["time"][visits:] = rows["time"][cancelled] + rng.integers(600, 7200, cancels)
    rows["amount"] = amount
    rows["txn_type"] = np.where(amount > 0, 6, 0).astype(np.uint8)
    rows |= {"due": amount.copy(), "fund_paid": np.zeros(count, np.int64), "fund": np.zeros(count, np.int64)}
    kept = slice(cancels, visits)
    cards = population.cards
    cards["deductible_used"][rows["card"][kept]] += detail["act_pay_dedc"][kept]
    cards["fund_used"][rows["card"][kept]] += detail["hifp_pay"][kept]
    return detail


def _begin_year(population: Population, year: int) -> None:
    """Deductible and fund consumption begin anew each calendar year."""
    cards = population.cards
    stale = cards["medical_year"] != year
    cards["medical_year"][stale] = year
    cards["deductible_used"][stale] = 0
    cards["fund_used"][stale] = 0


def _visit(rows: Table, city: City, population: Population, terms: InsurerTerms, rng: np.random.Generator) -> Table:
    count = length(rows)
    zero = np.zeros(count, np.int64)
    level = (1 + rows["venue"] % 3).astype(np.int64)
    card = rows["card"]
    insured = population.cards["insured"][card].astype(np.int64)
    in_list, prepaid_list, off_list = (
        rng.integers(low, high, count) for low, high in ((500, 60_000), (0, 20_000), (0, 4_000))
    )
    above_ceiling = np.where(rng.random(count) < 0.05, rng.integers(100, 3_000, count), 0)
    prepaid = _half_up(prepaid_list * terms.prepay)
    scope = in_list + prepaid_list - prepaid
    left = np.maximum(terms.deductible[insured, level] - population.cards["deductible_used"][card], 0)
    deductible = np.minimum(scope, left)
    room = np.maximum(terms.cap[insured] - population.cards["fund_used"][card], 0)
    fund = np.minimum(_half_up((scope - deductible) * terms.share[insured, level]), room)
    total = in_list + prepaid_list + off_list + above_ceiling
    person = total - fund
    account = np.minimum(person, rng.integers(0, 8_000, count))
    shared = np.where(rng.random(count) < 0.03, np.minimum(person - account, 2_000), 0)
    return {
        "region": np.full(count, city.insurer_region, np.int64),
        "institution": city.merchants[rows["venue"]].astype(np.int64),
        "institution_level": level.astype(np.uint8),
        "insured_type": insured.astype(np.uint8),
        "visit_kind": np.ones(count, np.uint8),
        "settlement_id": rows["time"] * 1_000_000 + np.arange(count),
        "cancel": np.zeros(count, np.uint8),
        "category_a_amt": in_list,
        "category_b_amt": prepaid_list,
        "category_c_amt": off_list,
        "medfee_sumamt": total,
        "fulamt_ownpay_amt": off_list,
        "overlmt_selfpay": above_ceiling,
        "preselfpay_amt": prepaid,
        "inscp_scp_amt": scope,
        "act_pay_dedc": deductible,
        "hifp_pay": fund,
        **{name: zero.copy() for name in _UNUSED_FUNDS},
        "hosp_part_amt": zero.copy(),
        "fund_pay_sumamt": fund.copy(),
        "psn_part_amt": person,
        "acct_pay": account,
        "acct_mulaid_pay": shared,
        "psn_cash_pay": person - account - shared,
        "fund_error": zero.copy(),
    }


def _miscalculate(rows: Table, detail: Table, visits: Bools, plan: FaultPlan, rng: np.random.Generator) -> None:
    """Let the insurer settle some visits wrongly: fund and cash differ from the tariff, their sum does not."""
    chosen = plan.choose(visits & (detail["psn_cash_pay"] >= _LARGEST_ERROR), rng)
    rows["mask"][chosen] |= Fault.MEDICAL_MISCALCULATED.bit
    size = rng.integers(1, _LARGEST_ERROR, len(chosen))
    error = np.where(detail["hifp_pay"][chosen] >= size, -size, size)
    detail["fund_error"][chosen] = error
    for name in ("hifp_pay", "fund_pay_sumamt"):
        detail[name][chosen] += error
    for name in ("psn_part_amt", "psn_cash_pay"):
        detail[name][chosen] -= error


def _half_up(numerator: Ints) -> Ints:
    return (2 * numerator + _ONE) // (2 * _ONE)
