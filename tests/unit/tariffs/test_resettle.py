"""Settling and billing again: where all was paid right nothing differs, and a wrong payment has no echo."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tariffs import (
    FUND_FIELDS,
    MedicalLedger,
    MedicalSettlements,
    MedicalVisits,
    PaidSettlements,
    Tariff,
    UtilityState,
    UtilityUsages,
    load_tariff,
    price_utility_dated,
    rebill,
    resettle,
    settle_dated,
)
from tariffs.written import day_number

LIBRARY = Path(__file__).parents[3] / "tariffs" / "library"
COUNT = 300


def tariff(name: str) -> Tariff:
    return load_tariff(LIBRARY / f"{name}.yaml")


def day(text: str) -> int:
    return day_number(date.fromisoformat(text))


def visits_of(name: str, seed: int) -> MedicalVisits:
    """Random visits of a few persons in a few households over two years, some of them cancelled later."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 8, COUNT)
    cancels = np.full(COUNT, -1, np.int64)
    for row in np.flatnonzero(rng.random(COUNT) < 0.15).tolist():
        earlier = np.flatnonzero((person[:row] == person[row]) & (cancels[:row] < 0))
        free = np.setdiff1d(earlier, cancels)
        if len(free):
            cancels[row] = rng.choice(free)
    return MedicalVisits.of(
        COUNT,
        person=person,
        sequence=np.arange(COUNT),
        settle_day=np.sort(rng.integers(day("2026-01-01"), day("2027-06-30"), COUNT)).astype(np.int32),
        insured=390 if "resident" in name else 310,
        level=rng.integers(1, 4, COUNT),
        visit_kind=rng.integers(0, 2, COUNT),
        person_type=rng.integers(11, 13, COUNT),
        aid=rng.integers(0, 2, COUNT),
        relation=rng.integers(0, 1 if name == "demo.medical" else 2, COUNT),
        category_a=rng.integers(0, 900_000, COUNT),
        category_b=rng.integers(0, 90_000, COUNT),
        household=person // 3,
        account_available=rng.integers(0, 5_000, COUNT),
        cancels=cancels,
    )


def paid_as(answers: MedicalSettlements) -> PaidSettlements:
    funds = np.stack([getattr(answers, name) for name in FUND_FIELDS], axis=1)
    return PaidSettlements(answers.act_pay_dedc, answers.inscp_scp_amt - answers.act_pay_dedc, funds)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["demo.medical", "demo.employee.outpatient", "demo.resident.outpatient"])
def test_what_was_paid_by_the_tariff_is_found_again(name: str, seed: int) -> None:
    """The whole year in one batch of the tariff's own settlement, cancellations and a change of terms included."""
    file, visits = tariff(name), visits_of(name, seed)
    truth = settle_dated(file, visits, MedicalLedger.empty()).settlements
    again = resettle(file, visits, paid_as(truth), np.ones(COUNT, np.bool_))

    settled = visits.cancels < 0
    assert truth.priced[settled].all()
    assert (truth.fund_pay_sumamt[settled] > 0).sum() > COUNT // 10
    for column in MedicalSettlements.SPECS:
        assert np.array_equal(getattr(again.settlements, column)[settled], getattr(truth, column)[settled]), column
    assert again.sound.all()


def test_a_wrong_payment_is_one_difference_and_no_echo() -> None:
    file, visits = tariff("demo.medical"), visits_of("demo.medical", 1)
    visits = replace(visits, cancels=np.full(COUNT, -1, np.int64))
    truth = settle_dated(file, visits, MedicalLedger.empty()).settlements
    row = int(np.flatnonzero(truth.act_pay_dedc > 1_000)[0])
    # The insurer forgot the deductible of one visit; what it settled later went on from there.
    paid, forgotten = paid_as(truth), int(truth.act_pay_dedc[row])
    paid.deductible[row] = 0
    paid.scope[row] += forgotten
    own_books = resettle(file, visits, paid, np.ones(COUNT, np.bool_)).settlements
    later = paid_as(own_books)
    later.deductible[: row + 1], later.scope[: row + 1] = paid.deductible[: row + 1], paid.scope[: row + 1]
    later.funds[: row + 1] = paid.funds[: row + 1]
    for _ in range(COUNT):
        # An insurer that is right about every later visit, given its own books.
        found = resettle(file, visits, later, np.ones(COUNT, np.bool_)).settlements
        right = paid_as(found)
        differs = (right.deductible != later.deductible) | (right.funds != later.funds).any(axis=1)
        wrong = np.flatnonzero(differs)
        if wrong.tolist() == [row]:
            break
        after = wrong[wrong > row]
        later.deductible[after], later.scope[after] = right.deductible[after], right.scope[after]
        later.funds[after] = right.funds[after]
    assert wrong.tolist() == [row]
    assert found.act_pay_dedc[row] == forgotten


def test_behind_what_cannot_be_settled_nothing_is_sound_where_funds_remember() -> None:
    for name, expected in (("demo.resident.outpatient", False), ("demo.medical", True)):
        file, visits = tariff(name), visits_of(name, 2)
        visits = replace(visits, household=np.full(COUNT, np.iinfo(np.int64).min))
        truth = settle_dated(file, visits, MedicalLedger.empty()).settlements
        readable = np.ones(COUNT, np.bool_)
        mine = np.flatnonzero((visits.person == visits.person[0]) & (visits.settle_day < day("2027-01-01")))
        readable[mine[0]] = False
        again = resettle(file, visits, paid_as(truth), readable)
        settled = mine[1:][visits.cancels[mine[1:]] < 0]
        assert again.sound[mine[0]]
        assert set(again.sound[settled].tolist()) == {expected}
        assert not again.settlements.priced[mine[0]]


def test_bills_are_found_again_and_those_behind_an_unknown_one_are_not_sound() -> None:
    file = tariff("demo.electricity_tou")
    rng = np.random.default_rng(5)
    account = np.repeat(np.arange(20), 24)
    rows = UtilityUsages.of(
        480,
        account=account,
        sequence=np.tile(np.arange(24), 20),
        period_day=np.tile(np.repeat(day("2026-01-01") + 31 * np.arange(12), 2), 20).astype(np.int32),
        usage_milli=rng.integers(0, 600_000, 480),
        bill=np.arange(480) // 2,
        register=np.tile([1, 2], 240),
        days=np.tile([30, 0], 240),
        household=np.repeat(rng.integers(1, 7, 240), 2),
        days_overdue=np.repeat(rng.integers(0, 20, 240), 2),
    )
    prices, _, _ = price_utility_dated(file, rows, UtilityState.zeros(0))
    again = rebill(file, rows, np.ones(480, np.bool_))
    assert np.array_equal(again.gross, prices.gross)
    assert again.sound.all()

    readable = rows.bill != 3
    behind = rebill(file, rows, readable)
    assert behind.priced.tolist() == readable.tolist()
    assert np.array_equal(np.flatnonzero(~behind.sound), np.flatnonzero((account == 0) & (rows.bill > 3)))
