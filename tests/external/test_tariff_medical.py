"""The national settlement interface: its fields are ours, and its identities hold on every row we settle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tariffs
from tariffs import MedicalLedger, MedicalSettlements, MedicalVisits, compile_segment, load_tariff, settle_visits

pytestmark = pytest.mark.external

NOT_AMOUNTS = {"pool_prop_selfpay", "balc"}
"""A ratio and the balance of an account that only the insurer keeps."""
FILES = ("demo.medical", "demo.employee.outpatient", "demo.resident.outpatient")
ROWS, PERSONS = 4_000, 300


def settlements(name: str) -> MedicalSettlements:
    """Random visits, a tenth of them cancelling the person's visit before, settled on each of the file's segments."""
    tariff = load_tariff(Path(tariffs.__file__).parent / "library" / f"{name}.yaml")
    rng = np.random.default_rng(len(name))
    amounts = ("category_a", "category_b", "category_b_service", "category_b_material", "category_c", "over_limit")
    row = np.arange(ROWS)
    parts = []
    for index, segment in enumerate(tariff.segments):
        visits = MedicalVisits.of(
            ROWS,
            person=row % PERSONS,
            sequence=row,
            settle_day=(np.datetime64(segment.first) - np.datetime64("1970-01-01")).astype(int),
            insured=rng.choice([310, 390], ROWS),
            person_type=rng.choice([11, 12], ROWS),
            level=rng.integers(1, 4, ROWS),
            visit_kind=rng.integers(0, 2, ROWS),
            relation=rng.integers(0, 3, ROWS),
            aid=rng.integers(0, 2, ROWS),
            cancels=np.where(rng.random(ROWS) < 0.1, row - PERSONS, -1),
            account_available=rng.integers(0, 20_000, ROWS),
            family_available=rng.integers(0, 20_000, ROWS),
            purse_available=rng.integers(0, 20_000, ROWS),
            **{amount: rng.integers(0, 10 ** rng.integers(3, 7, ROWS)) for amount in amounts},
        )
        run = settle_visits(compile_segment(tariff, index), visits, MedicalLedger.empty())
        parts.append(run.settlements)
    return MedicalSettlements.concatenate(parts)


@pytest.mark.parametrize("name", FILES)
def test_identities_hold_on_every_row(name: str, shared_data: Path, answered: Callable[[int], None]) -> None:
    file = shared_data / "tariffs/cn-medical-settlement-schema/fields.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    answers = settlements(name)
    assert answers.priced.sum() > ROWS // 10
    assert (answers.medfee_sumamt < 0).any()
    for field, *_ in schema["fields"]:
        assert field in NOT_AMOUNTS or field in MedicalSettlements.SPECS, field
    for identity in schema["identities_to_assert_on_every_row"]:
        equation = identity.replace("(+ acct_mulaid_pay where the region counts it separately)", "+ acct_mulaid_pay")
        whole, parts = equation.split(" = ")
        total = np.add.reduce([getattr(answers, part.strip()) for part in parts.split("+")])
        np.testing.assert_array_equal(getattr(answers, whole), total, err_msg=identity)
    answered(len(schema["identities_to_assert_on_every_row"]))
