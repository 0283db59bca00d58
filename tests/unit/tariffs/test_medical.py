"""Medical settlement against its twin over random tariffs, and the laws every settlement obeys.

``CAMPAIGN_EXAMPLES`` sets the number of random tariffs of each test (40 by default), of 30 to 90 rows each.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import medical_reference as reference
from reference.tariffs_reference import rounded

from tariffs import (
    NULL,
    CompiledTariff,
    MedicalLedger,
    MedicalSettlements,
    MedicalVisits,
    settle_visits,
)
from tariffs.columns import Columns
from tariffs.compiler import compile_steps
from tariffs.medical import kernels
from tariffs.medical.columns import AMOUNT_FIELDS, FUND_FIELDS
from tariffs.vocabulary import MEDICAL_STEPS

DAY = (date(2026, 10, 1) - date(1970, 1, 1)).days
MODES = ["half_up", "half_even", "down", "up"]
"""In the order of the kernels' codes."""
EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "40"))
Steps = list[dict[str, Any]]
LARGEST_CAP = 3_000


def compile_medical(steps: Steps) -> tuple[CompiledTariff, list[tuple[str, Any]]]:
    """Steps as in a file → compiled tariff and the validated steps that the twin reads."""
    validated = [(name, MEDICAL_STEPS[name].model_validate(given)) for step in steps for name, given in step.items()]
    compiled = compile_steps(
        tariff_id="test.steps",
        kind="medical",
        segment=0,
        first_day=date(2026, 1, 1),
        last_day=date(2027, 12, 31),
        steps=validated,
        tables={},
    )
    return compiled, validated


def random_steps(rng: np.random.Generator) -> Steps:
    """A tariff with every part drawn: wildcards, bands, relations, supplements, a monthly limit or none."""
    ratio = lambda: int(rng.choice([0, 1, 1000, 3333, 5005, 9999, 10_000]))  # noqa: E731
    mode = lambda: str(rng.choice(MODES))  # noqa: E731

    def shares(index: int) -> dict[str, Any]:
        if index % 2:
            return {"per_10000": ratio()}
        edges = sorted({int(edge) for edge in rng.integers(1, 1_500, 2)})
        ends: list[dict[str, int]] = [{"up_to": edge} for edge in edges]
        return {"bands": [end | {"per_10000": ratio()} for end in [*ends, {}]]}

    def bands() -> dict[str, str]:
        return {
            "period": str(rng.choice(["calendar_year", "visit"])),
            "counted_from": str(rng.choice(["deductible", "zero"])),
        }

    per_year = {"per": "person", "period": "calendar_year"}
    owed = str(rng.choice(["calendar_year", "visit"]))
    form = str(rng.choice(["ordinary", "franchise", "reverse_franchise"])) if owed == "visit" else "ordinary"
    year_max = {"year_max": int(rng.integers(0, 800))} if (owed, form) == ("visit", "ordinary") else {}
    cells: list[dict[str, int]] = [
        {"insured": 310, "level": 1},
        {"insured": 310, "level": 3, "visit_kind": 0},
        {"insured": 310, "level": 3, "visit_kind": 1},
        {"insured": 390, "relation": 0, "person_type": 11},
        {"insured": 390, "relation": 0, "person_type": 12},
        {"insured": 390, "relation": 7},
    ]
    steps: Steps = [
        {
            "prepay": {
                "category_b_per_10000": ratio(),
                "rounding": mode(),
                **({"service_per_10000": ratio(), "material_per_10000": ratio()} if rng.random() < 0.5 else {}),
            }
        },
        {
            "deductible": {
                "per": "person",
                "period": owed,
                "form": form,
                "by": [
                    {"insured": 310, "level": 1, "amount": int(rng.integers(0, 400))} | year_max,
                    {"insured": 310, "level": 3, "amount": int(rng.integers(0, 400))},
                    {"insured": 390, "amount": int(rng.integers(0, 400))},
                ],
            }
        },
        {
            "share": {
                "rounding": mode(),
                "bands": bands(),
                "by": [cell | shares(index) for index, cell in enumerate(cells)],
            }
        },
        {
            "annual_cap": per_year
            | {
                "by": [
                    {
                        "insured": 310,
                        "amount": int(rng.integers(0, LARGEST_CAP)),
                        "per_visit": int(rng.integers(0, 900)),
                    },
                    {
                        "insured": 390,
                        "amount": int(rng.integers(0, LARGEST_CAP)),
                        **({"per_visit_per_10000": ratio()} if rng.random() < 0.5 else {}),
                    },
                ]
            }
        },
    ]
    if rng.random() < 0.5:
        terms = [
            {"relation": code, "self_pay_per_10000": ratio(), "share_factor_per_10000": ratio()} for code in (1, 2)
        ]
        steps.insert(1, {"out_of_region": {"rounding": mode(), "by": terms}})
    for fund in ("hifmi_pay", "maf_pay")[: int(rng.integers(0, 3))]:
        table: list[dict[str, Any]] = [{"insured": 310, "aid": 1}, {"insured": 390}]
        terms = [
            cell | shares(index) | {"deductible": int(rng.integers(0, 500)), "cap": int(rng.integers(0, LARGEST_CAP))}
            for index, cell in enumerate(table)
        ]
        of = str(rng.choice(["in_scope", "in_scope_and_prepaid", "person_part"]))
        step = per_year | {"fund": fund, "of": of, "rounding": mode(), "bands": bands(), "by": terms}
        steps.append({"supplement": step})
    if rng.random() < 0.6:
        steps.append({"monthly_limit": random_limit(rng)})
    order = [str(payer) for payer in rng.permutation(["account", "family", "purse"])[: rng.integers(0, 4)]]
    cover = str(rng.choice(["person_part", "in_scope"]))
    return [*steps, {"waterfall": {"order": [*order, "cash"], "accounts_cover": cover}}]


def random_limit(rng: np.random.Generator) -> dict[str, Any]:
    repeats = rng.random() < 0.6
    terms = [
        {
            "income_class": code,
            "base": int(rng.integers(0, 800)),
            "threshold": int(rng.integers(0, 1_000)),
            "per_10000": int(rng.integers(0, 5_000)),
        }
        | ({"repeated": int(rng.integers(0, 300))} if repeats else {})
        for code in (1, 2, 3)
    ]
    limit: dict[str, Any] = {
        "per": str(rng.choice(["person", "household"])),
        "period": "calendar_month",
        "fund": "hifob_pay",
        "to": int(rng.choice([1, 10])),
        "rounding": str(rng.choice(MODES)),
        "counted_from": int(rng.choice([0, 100])),
        "by": terms,
    }
    if repeats:
        limit["repeat"] = {"months": int(rng.integers(1, 4)), "within_months": int(rng.integers(3, 13))}
    if rng.random() < 0.3:
        bands = [{"up_to": 100, "income_class": 1}, {"up_to": 200, "income_class": 2}, {"income_class": 1}]
        limit["classes"] = {"exempt": 3, "bands": bands}
    if rng.random() < 0.6:
        limit["second_payer"] = {
            "fund": "oth_pay",
            "income_class": 2,
            "by": [
                {"program": 10, "person_pays": "ratio", "per_10000": 500},
                {"program": 15, "person_pays": "certificate"},
            ],
        }
    return limit


def random_visits(rng: np.random.Generator, length: int, cancelled: float = 0.15) -> MedicalVisits:
    """Visits of a few persons and households over 15 months, some of them taking back one of the person's own."""
    person = rng.integers(1, 5, length)
    sequence = np.arange(length) * 3
    cancels = np.full(length, NULL)
    for row in np.flatnonzero(rng.random(length) < cancelled):
        mine = np.flatnonzero(person[: row + 1] == person[row])
        cancels[row] = sequence[rng.choice(mine)] + rng.choice([0, 0, 0, 0, 1])
    return MedicalVisits.of(
        length,
        person=person,
        sequence=sequence,
        settle_day=np.sort(DAY + rng.integers(0, 450, length)),
        insured=rng.choice([310, 390, 410], length, p=[0.5, 0.45, 0.05]),
        level=rng.choice([1, 3], length),
        visit_kind=rng.choice([0, 1, 2], length, p=[0.5, 0.4, 0.1]),
        relation=rng.choice([0, 1, 7], length, p=[0.7, 0.2, 0.1]),
        aid=rng.integers(0, 2, length),
        person_type=rng.choice([11, 12], length),
        category_a=rng.integers(0, 1_500, length),
        category_b=rng.integers(0, 900, length),
        category_b_service=rng.integers(0, 200, length),
        category_b_material=rng.integers(0, 200, length),
        category_c=rng.integers(-1, 200, length),
        over_limit=rng.integers(0, 100, length),
        account_available=rng.integers(0, 300, length),
        family_available=rng.integers(0, 200, length),
        purse_available=rng.integers(0, 300, length),
        household=np.where(rng.random(length) < 0.03, NULL, 100 + (person + 1) // 2),
        cancels=cancels,
        program=rng.choice([0, 10, 15, 99], length, p=[0.7, 0.15, 0.14, 0.01]),
        program_limit=rng.integers(0, 300, length),
        income_class=rng.integers(1, 4, length),
        income=rng.integers(0, 300, length),
        income_exempt=rng.integers(0, 2, length),
        home_region=340_100,
    )


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    return [{name: getattr(columns, name)[i].item() for name in columns.SPECS} for i in range(len(columns))]


def assert_same(first: Columns, second: Columns) -> None:
    for name in first.SPECS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def sorted_ledger(ledger: MedicalLedger) -> MedicalLedger:
    """Settled rows by sequence: a ledger lists them as they came."""
    return replace(ledger, settled=ledger.settled.take(np.argsort(ledger.settled.sequence)))


def assert_same_ledger(first: MedicalLedger, second: MedicalLedger) -> None:
    for one, other in zip(vars(sorted_ledger(first)).values(), vars(sorted_ledger(second)).values(), strict=True):
        assert_same(one, other)


def assert_identities(a: MedicalSettlements) -> None:
    """The four of the national interface, on every row; cancelling rows have them with a minus."""
    parts = a.fulamt_ownpay_amt + a.overlmt_selfpay + a.preselfpay_amt + a.inscp_scp_amt
    np.testing.assert_array_equal(a.medfee_sumamt, parts)
    np.testing.assert_array_equal(a.fund_pay_sumamt, np.add.reduce([getattr(a, name) for name in FUND_FIELDS]))
    np.testing.assert_array_equal(a.medfee_sumamt, a.fund_pay_sumamt + a.psn_part_amt + a.hosp_part_amt)
    np.testing.assert_array_equal(a.psn_part_amt, a.acct_pay + a.acct_mulaid_pay + a.psn_cash_pay)
    assert (np.abs(a.purse_pay) <= np.abs(a.psn_cash_pay)).all()
    signs = np.stack([np.sign(getattr(a, name)) for name in AMOUNT_FIELDS])
    assert (signs.max(axis=0) - signs.min(axis=0) <= 1).all()


@settings(deadline=None)
@given(st.integers(0, 10**17), st.sampled_from([1, 3, 10_000, 1_000_000, 10**8]), st.sampled_from(MODES))
def test_division_equals_its_twin(numerator: int, denominator: int, mode: str) -> None:
    found = kernels.divide_rounded(numerator, denominator, MODES.index(mode))
    assert found == rounded(Fraction(numerator, denominator), mode)


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(0, 2**32))
def test_every_tariff_equals_its_twin(seed: int) -> None:
    """Same amounts, counters and reviews as the twin; the four identities; no fund above its cap."""
    rng = np.random.default_rng(seed)
    compiled, validated = compile_medical(random_steps(rng))
    visits = random_visits(rng, 60)
    run = settle_visits(compiled, visits, MedicalLedger.empty())

    books = reference.Books()
    twins = reference.settle(validated, rows_of(visits), books)
    for twin, answer in zip(twins, rows_of(run.settlements), strict=True):
        assert {name: answer[name] for name in twin} == twin
    years = {
        (r["fund"], r["person"], r["year"]): [r["deductible_consumed"], r["scope_consumed"], r["fund_consumed"]]
        for r in rows_of(run.ledger.years)
    }
    assert {key: moved for key, moved in years.items() if any(moved)} == {
        key: moved for key, moved in books.funds.items() if any(moved)
    }
    months = {
        (r["program"], r["owner"], r["month"]): [r["medical"], r["burden"], r["relief"], r["reached"]]
        for r in rows_of(run.ledger.months)
    }
    assert months == {key: moved for key, moved in books.months.items() if any(moved)}
    reviews = [
        tuple(r[name] for name in ("cancelled_by", "person", "sequence", "cancelled_person", "cancelled_sequence"))
        for r in rows_of(run.reviews)
    ]
    assert reviews == sorted(books.reviews)
    assert_identities(run.settlements)
    assert (run.ledger.years.fund_consumed <= LARGEST_CAP).all()
    assert (run.settlements.payer_region == 340_100 * run.settlements.priced).all()


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(0, 2**32), st.integers(0, 50))
def test_batches_and_arrival_do_not_matter(seed: int, cut: int) -> None:
    """A batch cut anywhere and arriving in any order gives the same settlements, ledger and reviews."""
    rng = np.random.default_rng(seed)
    compiled, _ = compile_medical(random_steps(rng))
    visits = random_visits(rng, 50)
    whole = settle_visits(compiled, visits, MedicalLedger.empty())

    first = settle_visits(compiled, visits.take(slice(0, cut)), MedicalLedger.empty())
    second = settle_visits(compiled, visits.take(slice(cut, None)), first.ledger)
    assert_same(whole.settlements, MedicalSettlements.concatenate([first.settlements, second.settlements]))
    assert_same_ledger(whole.ledger, second.ledger)
    assert_same(whole.reviews, type(whole.reviews).concatenate([first.reviews, second.reviews]))

    shuffled = rng.permutation(len(visits))
    other = settle_visits(compiled, visits.take(shuffled), MedicalLedger.empty())
    assert_same(whole.settlements.take(shuffled), other.settlements)
    assert_same_ledger(whole.ledger, other.ledger)
    assert_same(whole.reviews, other.reviews)


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(0, 2**32))
def test_cancelled_and_sent_again_is_never_cancelled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    compiled, _ = compile_medical(random_steps(rng))
    visits = random_visits(rng, 30, cancelled=0)
    plain = settle_visits(compiled, visits, MedicalLedger.empty())
    cancelling = replace(visits, sequence=visits.sequence + 1, cancels=visits.sequence)
    again = replace(visits, sequence=visits.sequence + 2)
    run = settle_visits(compiled, MedicalVisits.concatenate([visits, cancelling, again]), MedicalLedger.empty())
    sent, taken, resent = (run.settlements.take(slice(30 * part, 30 * part + 30)) for part in range(3))
    for name in AMOUNT_FIELDS:
        np.testing.assert_array_equal(getattr(sent, name), -getattr(taken, name))
    assert_same(resent, plain.settlements)
    assert_same(run.ledger.years, plain.ledger.years)
    assert_same(run.ledger.months, plain.ledger.months)
    assert len(run.reviews) == 0
    taken_back = settle_visits(
        compiled, replace(again, sequence=again.sequence + 1_000, cancels=again.sequence), run.ledger
    )
    assert not any(
        getattr(taken_back.ledger.years, f"{name}_consumed").any() for name in ("deductible", "scope", "fund")
    )
    assert len(taken_back.ledger.months) == 0
