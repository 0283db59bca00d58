"""A medical bill worked out by other people: deductible and share; amounts are in fen (cents)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tariffs import (
    MedicalState,
    MedicalVisits,
    compile_segment,
    load_tariff,
    settle_medical,
)

pytestmark = pytest.mark.external

HEADER = """
title: written by a test
source: the folder the test reads
money: {currency: CNY, unit: fen}
policy: engine_priced
late: {grace_days: 0, after_grace: forward}
published: {first: 2000-01-01, last: 2030-12-31}
"""


def settle_one_visit_each(folder: Path, amounts: list[int], *, deductible: int, share: int, cap: int) -> np.ndarray:
    """What the fund pays when each of ``amounts`` (fen) is the first visit of another person."""
    file = folder / "medical.yaml"
    file.write_text(f"""id: test.medical
kind: medical{HEADER}steps:
  - prepay: {{category_b_per_10000: 0, rounding: half_up}}
  - deductible:
      {{per: person, period: calendar_year, by: [{{insured: 1, level: 1, amount: {deductible}}}]}}
  - share: {{rounding: half_up, by: [{{insured: 1, level: 1, per_10000: {share}}}]}}
  - annual_cap: {{per: person, period: calendar_year, by: [{{insured: 1, amount: {cap}}}]}}
  - waterfall: {{order: [cash]}}
tests:
  - {{name: nothing, date: 2020-01-01, rows: [{{insured: 1, level: 1}}], expect: [{{hifp_pay: 0}}]}}
""")
    count = len(amounts)
    visits = MedicalVisits.of(
        count, person=np.arange(count), sequence=0, settle_day=18_000, insured=1, level=1, category_a=amounts
    )
    answers, _ = settle_medical(compile_segment(load_tariff(file), 0), visits, MedicalState.zeros(0))
    return answers.hifp_pay


def test_deductible_example(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    example = json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())["bcbst_deductible"]
    paid = settle_one_visit_each(
        tmp_path,
        [example["bill"] * 100],
        deductible=example["deductible"] * 100,
        share=round(example["plan_share"] * 10_000),
        cap=100_000_000,
    )
    assert paid.tolist() == [example["plan_pays"] * 100]
    answered(1)
