"""Medical terms one by one: what a file may not say, changes of terms, other regions, cancellations, ledgers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

import tariffs
from tariffs import (
    NULL,
    CompiledTariff,
    MedicalLedger,
    MedicalVisits,
    compile_segment,
    load_tariff,
    settle_medical,
    settle_visits,
)
from tariffs.compiler import compile_steps
from tariffs.errors import ParameterError
from tariffs.medical.columns import MedicalMonths, MedicalState
from tariffs.medical.dated import settle_dated
from tariffs.vocabulary import MEDICAL_STEPS

LIBRARY = Path(tariffs.__file__).parent / "library"
Steps = list[dict[str, Any]]

STEPS = """
- prepay: {category_b_per_10000: 1000, rounding: half_up}
- out_of_region: {rounding: half_up, by: [{relation: 1, self_pay_per_10000: 1000, share_factor_per_10000: 9000}]}
- deductible:
    per: person
    period: calendar_year
    by: [{insured: 1, level: 1, amount: 100}, {insured: 1, level: 2, amount: 200}]
- share:
    rounding: half_up
    bands: {period: calendar_year, counted_from: deductible}
    by:
      - {insured: 1, level: 1, bands: [{up_to: 1000, per_10000: 5000}, {per_10000: 8000}]}
      - {insured: 1, level: 2, per_10000: 6000}
- annual_cap: {per: person, period: calendar_year, by: [{insured: 1, amount: 100000}]}
- supplement:
    fund: hifmi_pay
    per: person
    period: calendar_year
    of: in_scope
    rounding: half_up
    by: [{insured: 1, deductible: 500, per_10000: 5000, cap: 100000}]
- monthly_limit:
    per: household
    period: calendar_month
    fund: hifob_pay
    rounding: half_up
    counted_from: 0
    repeat: {months: 3, within_months: 12}
    classes: {exempt: 2, bands: [{up_to: 500, income_class: 1}, {income_class: 2}]}
    second_payer:
      fund: oth_pay
      income_class: 1
      by: [{program: 10, person_pays: ratio, per_10000: 500}, {program: 15, person_pays: certificate}]
    by:
      - {income_class: 1, base: 1000, repeated: 400}
      - {income_class: 2, base: 2000, repeated: 800}
- waterfall: {order: [account, family, purse, cash]}
"""


def compiled_from(steps: Steps, tariff_id: str = "test.terms") -> CompiledTariff:
    validated = [(name, MEDICAL_STEPS[name].model_validate(given)) for step in steps for name, given in step.items()]
    return compile_steps(
        tariff_id=tariff_id,
        kind="medical",
        segment=0,
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
        steps=validated,
        tables={},
    )


def steps_without(*names: str) -> Steps:
    return [step for step in yaml.safe_load(STEPS) if not step.keys() & set(names)]


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def visits_of(count: int, **columns: Any) -> MedicalVisits:
    common = {"person": 1, "sequence": np.arange(count), "settle_day": day("2026-03-02"), "insured": 1, "level": 1}
    return MedicalVisits.of(count, **(common | {"household": 9} | columns))


CHANGES: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("out_of_region", lambda s: s["by"].append(s["by"][0]), "out_of_region.by[1]"),
    ("deductible", lambda s: s.update(form="franchise"), "deductible.form"),
    ("deductible", lambda s: s["by"][0].update(year_max=1), "deductible.by[0].year_max"),
    ("deductible", lambda s: s["by"].append({"insured": 1, "amount": 3}), "deductible.by[2]"),
    ("deductible", lambda s: s["by"].append({"insured": 2, "amount": 3}), "share.by"),
    ("share", lambda s: s["by"].append({"insured": 2, "per_10000": 3}), "share.by"),
    ("share", lambda s: s["by"].append({"insured": 1, "level": 2, "aid": 1, "per_10000": 3}), "share.by[2]"),
    ("share", lambda s: s["by"][0].update(per_10000=5000), "share.by[0]"),
    ("share", lambda s: s["by"][1].pop("per_10000"), "share.by[1]"),
    ("share", lambda s: s.pop("bands"), "share.bands"),
    ("share", lambda s: s["by"][0]["bands"].pop(), "share.by[0].bands"),
    ("share", lambda s: s["by"][0]["bands"].insert(1, {"up_to": 1000, "per_10000": 1}), "share.by[0].bands"),
    ("share", lambda s: s["by"][0]["bands"].insert(0, {"per_10000": 1}), "share.by[0].bands"),
    ("supplement", lambda s: s.update(fund="hifob_pay"), "steps"),
    ("supplement", lambda s: s["by"].append(s["by"][0]), "steps[5].supplement.by[1]"),
    ("supplement", lambda s: s["by"][0].pop("per_10000"), "steps[5].supplement.by[0]"),
    ("monthly_limit", lambda s: s["by"].append(s["by"][0]), "monthly_limit.by[2]"),
    ("monthly_limit", lambda s: s.pop("repeat"), "monthly_limit.by[0].repeated"),
    ("monthly_limit", lambda s: s["by"][1].pop("repeated"), "monthly_limit.by[1].repeated"),
    ("monthly_limit", lambda s: s["classes"].update(exempt=3), "monthly_limit.classes"),
    ("monthly_limit", lambda s: s["classes"]["bands"].pop(), "monthly_limit.classes.bands"),
    ("monthly_limit", lambda s: s["second_payer"].update(income_class=3), "monthly_limit.second_payer.income_class"),
    ("monthly_limit", lambda s: s["second_payer"].update(fund="hifob_pay"), "steps"),
    ("monthly_limit", lambda s: s["second_payer"]["by"][0].pop("per_10000"), "second_payer.by[0].per_10000"),
    ("monthly_limit", lambda s: s["second_payer"]["by"][1].update(per_10000=1), "second_payer.by[1].per_10000"),
    ("monthly_limit", lambda s: s["second_payer"]["by"][1].update(program=10), "monthly_limit.second_payer.by[1]"),
    ("waterfall", lambda s: s.update(order=["cash", "family"]), "waterfall.order"),
]


@pytest.mark.parametrize(("name", "change", "place"), CHANGES)
def test_terms_that_do_not_fit_are_refused(name: str, change: Callable[[dict[str, Any]], Any], place: str) -> None:
    steps = yaml.safe_load(STEPS)
    assert compiled_from(steps).medical_program().order == ("account", "family", "purse", "cash")
    change(next(step[name] for step in steps if name in step))
    with pytest.raises(ParameterError) as refusal:
        compiled_from(steps)
    assert refusal.value.path.endswith(place)


@pytest.mark.parametrize("missing", ["rounding", "of", "fund", "by", "period"])
def test_a_supplement_leaves_nothing_unsaid(missing: str) -> None:
    step = next(step["supplement"] for step in yaml.safe_load(STEPS) if "supplement" in step)
    step.pop(missing)
    with pytest.raises(ValidationError, match=missing):
        MEDICAL_STEPS["supplement"].model_validate(step)


def test_repeated_months_lower_the_limit() -> None:
    """Three months with a reached limit among the eleven before: the fourth has the lower one, a year later not."""
    compiled = compiled_from(steps_without("supplement"))
    months = ["2025-05-01", "2025-08-01", "2026-03-01", "2026-04-01", "2026-09-01"]
    visits = visits_of(
        5, settle_day=[day(month) for month in months], category_c=1, category_a=10_000, level=2, program=0, income=1
    )
    answers = settle_visits(compiled, visits, MedicalLedger.empty()).settlements
    assert answers.psn_part_amt.tolist() == [1_001, 1_001, 1_001, 401, 1_001]


def test_the_second_payer_counts_its_month_per_person() -> None:
    compiled = compiled_from(steps_without("supplement", "out_of_region"))
    visits = visits_of(
        4, person=[1, 1, 2, 1], settle_day=[day("2026-03-02")] * 3 + [day("2026-04-02")], category_a=500, level=2,
        program=[15, 15, 15, 0], program_limit=220,
    )  # fmt: skip
    answers = settle_visits(compiled, visits, MedicalLedger.empty()).settlements
    # 200 of deductible and 40 % of 300 are left of the first, 40 % of 500 of the second bill of person 1.
    assert answers.oth_pay.tolist() == [100, 200, 100, 0]
    assert answers.psn_part_amt.tolist() == [220, 0, 220, 200]


def test_the_catalogue_is_that_of_the_place_of_care() -> None:
    home = compiled_from(steps_without("monthly_limit", "supplement"))
    there = steps_without("monthly_limit", "supplement", "out_of_region")
    there[0]["prepay"]["category_b_per_10000"] = 3000
    visits = visits_of(1, category_b=1_000, relation=1, home_region=340_100)
    run = settle_visits(home, visits, MedicalLedger.empty(), catalogue=compiled_from(there, "test.there"))
    # 300 by the list of the place, a tenth of 700 as home wants it; 630 − 100 at half of nine tenths.
    assert (run.settlements.preselfpay_amt[0], run.settlements.inscp_scp_amt[0]) == (370, 630)
    assert (run.settlements.hifp_pay[0], run.settlements.payer_region[0]) == (239, 340_100)


def test_a_cancellation_restores_and_lists() -> None:
    """The visit in between stands with the deductible it did not owe; the next one owes what the year has free."""
    compiled = compiled_from(steps_without("monthly_limit", "supplement"))
    first = settle_visits(compiled, visits_of(2, category_a=[80, 60]), MedicalLedger.empty())
    assert first.settlements.act_pay_dedc.tolist() == [80, 20]
    later = visits_of(2, sequence=[2, 3], category_a=[0, 200], cancels=[0, NULL])
    second = settle_visits(compiled, later, first.ledger)
    assert second.settlements.act_pay_dedc.tolist() == [-80, 80]
    assert second.settlements.hifp_pay.tolist() == [0, 60]
    assert second.settlements.rule[0] == first.settlements.rule[0]
    reviews = second.reviews
    assert (reviews.person.tolist(), reviews.sequence.tolist(), reviews.cancelled_sequence.tolist()) == (
        [1],
        [1],
        [0],
    )
    assert first.ledger.settled.cancelled_by.tolist() == [NULL, NULL], "the ledger handed in is not changed"
    again = settle_visits(compiled, visits_of(1, sequence=4, cancels=0), second.ledger)
    assert not again.settlements.priced[0]


def test_a_cancellation_lists_the_households_month() -> None:
    compiled = compiled_from(steps_without("supplement"))
    visits = visits_of(
        4, person=[1, 2, 3, 1], household=[9, 9, 8, 9], category_a=3_000, cancels=[NULL, NULL, NULL, 0]
    )
    reviews = settle_visits(compiled, visits, MedicalLedger.empty()).reviews
    assert reviews.person.tolist() == [2]


def employee(count: int, **columns: Any) -> MedicalVisits:
    return visits_of(count, **({"insured": 310, "person_type": 11} | columns))


def test_terms_change_in_the_middle_of_a_year() -> None:
    """What was paid before July counts against the cap of July; unpublished days are not priced."""
    tariff = load_tariff(LIBRARY / "demo.employee.outpatient.yaml")
    days = [day("2026-06-30"), day("2026-07-01"), day("2028-01-01")]
    visits = employee(3, settle_day=days, category_a=1_000_000)
    run = settle_dated(tariff, visits, MedicalLedger.empty())
    assert run.settlements.hifp_pay.tolist() == [400_000, 200_000, 0]
    assert run.settlements.priced.tolist() == [True, True, False]
    with pytest.raises(ValueError, match="owner 1: sequence 1 is dated before"):
        settle_dated(tariff, employee(2, settle_day=[days[1], days[0]]), MedicalLedger.empty())


def test_a_cancellation_reaches_over_a_change_of_terms() -> None:
    """Funds and limits that the new terms no longer know get back what the cancelled settlement took."""
    old, new = compiled_from(yaml.safe_load(STEPS)), compiled_from(steps_without("supplement", "monthly_limit"))
    first = settle_visits(old, visits_of(1, category_a=9_000, level=2, program=15), MedicalLedger.empty())
    settled = first.settlements
    assert (settled.hifp_pay[0], settled.hifmi_pay[0], settled.hifob_pay[0], settled.oth_pay[0]) == (
        (9_000 - 200) * 6 // 10,
        (3_720 - 500) // 2,
        2_110 - 1_000,
        1_000,
    )
    assert len(first.ledger.months) == 2
    run = settle_visits(new, visits_of(1, sequence=1, settle_day=day("2027-01-05"), cancels=0), first.ledger)
    assert run.settlements.medfee_sumamt.tolist() == [-9_000]
    assert run.settlements.oth_pay.tolist() == [-1_000]
    assert not run.ledger.years.fund_consumed.any()
    assert not run.ledger.years.deductible_consumed.any()
    assert len(run.ledger.months) == 0


def test_the_short_form_is_the_long_one_without_months() -> None:
    compiled = compile_segment(load_tariff(LIBRARY / "demo.resident.outpatient.yaml"), 0)
    visits = visits_of(3, insured=390, level=3, aid=1, category_a=2_000_000, cancels=[NULL, NULL, 0])
    answers, state = settle_medical(compiled, visits, MedicalState.zeros(0))
    run = settle_visits(compiled, visits, MedicalLedger.empty())
    for name in answers.SPECS:
        np.testing.assert_array_equal(getattr(answers, name), getattr(run.settlements, name))
    assert state.fund.tolist() == run.ledger.years.fund.tolist() == [0, 3, 5]
    with pytest.raises(ValueError, match=r"test\.terms limits months"):
        settle_medical(compiled_from(steps_without("supplement")), visits, MedicalState.zeros(0))


def test_ambiguous_rows_are_refused() -> None:
    compiled = compiled_from(steps_without("supplement"))
    empty = MedicalLedger.empty()
    with pytest.raises(ValueError, match="owner 9 has the sequence 0 twice in this month"):
        settle_visits(compiled, visits_of(2, person=[1, 2], sequence=0), empty)
    days = [day("2025-01-01"), day("2026-01-01"), day("2026-01-02")]
    of_two_years = visits_of(3, sequence=[0, 0, 1], settle_day=days, cancels=[NULL, NULL, 0])
    with pytest.raises(ValueError, match="person 1 has the sequence 0 twice"):
        settle_visits(compiled, of_two_years, empty)
    twice = MedicalState.of(3, person=1, year=2026, deductible_consumed=0, fund_consumed=0, fund=[0, 3, 3])
    with pytest.raises(ValueError, match=r"the state holds a \(fund, person, year\) twice"):
        settle_visits(compiled, visits_of(1), replace(empty, years=twice))
    months = MedicalMonths.zeros(2)
    with pytest.raises(ValueError, match=r"the state holds a \(program, owner, month\) twice"):
        settle_visits(compiled, visits_of(1), replace(empty, months=months))


def test_nobody_is_put_into_a_household_unasked() -> None:
    compiled = compiled_from(steps_without("supplement"))
    visits = visits_of(4, household=[NULL, 9, 9, 9], relation=[0, 0, 5, 0], program=[0, 0, 0, 3], category_a=1)
    assert settle_visits(compiled, visits, MedicalLedger.empty()).settlements.priced.tolist() == [
        False,
        True,
        False,
        False,
    ]
