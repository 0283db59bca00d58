"""Deductible, share and limit in the order of another engine (OasisLMF), as terms of medical files.

A calculation rule is written as the terms that say the same, whatever the numbers: no rule has code of its own. A
loss is the only visit of a person. Rules with steps and triggers (28, 32, 37, 38, 281) and of business interruption
(40, 41) need columns that a visit does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tariffs import MedicalLedger, MedicalVisits, Tariff, compile_segment, load_tariff, settle_visits

pytestmark = pytest.mark.external

UNLIMITED = 1_000_000_000
FEN = 100
"""Amounts of the source count as yuan."""
HEADER = """id: test.oasis
kind: medical
title: written by a test
source: oasis-deductible-limit
money: {currency: CNY, unit: fen}
policy: engine_priced
late: {grace_days: 0, after_grace: forward}
published: {first: 2000-01-01, last: 2030-12-31}
tests: [{name: nothing, date: 2020-01-01, rows: [{insured: 1, level: 1}], expect: [{hifp_pay: 0}]}]
"""


@dataclass(frozen=True)
class Cover:
    """Terms of one cover in yuan: ratio of the loss that is the person's own first, deductible, share, caps."""

    own: Fraction = Fraction(0)
    deductible: Fraction = Fraction(0)
    form: str = "ordinary"
    share: Fraction = Fraction(1)
    cap: Fraction | None = None
    cap_ratio: Fraction = Fraction(1)
    """Most of the loss (what is left after ``own``) that is paid."""

    def tariff(self, folder: Path) -> Tariff:
        """The rule file."""
        deductible = {"insured": 1, "amount": whole(self.deductible * FEN)}
        cap = {
            "insured": 1,
            "amount": UNLIMITED if self.cap is None else whole(self.cap * FEN),
            "per_visit_per_10000": whole(self.cap_ratio * 10_000),
        }
        steps = [
            {"prepay": {"category_b_per_10000": whole(self.own * 10_000), "rounding": "half_up"}},
            {"deductible": {"per": "person", "period": "visit", "form": self.form, "by": [deductible]}},
            {"share": {"rounding": "half_up", "by": [{"insured": 1, "per_10000": whole(self.share * 10_000)}]}},
            {"annual_cap": {"per": "person", "period": "calendar_year", "by": [cap]}},
            {"waterfall": {"order": ["cash"]}},
        ]
        file = folder / "oasis.yaml"
        file.write_text(HEADER + yaml.safe_dump({"steps": steps}), encoding="utf-8")
        return load_tariff(file)


def whole(value: Fraction) -> int:
    """A value in the smallest unit of a file; terms that are no whole number of them cannot be written."""
    assert value.denominator == 1, value
    return int(value)


@dataclass(frozen=True)
class Terms:
    """Terms of the source as exact fractions."""

    given: dict[str, float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Fraction:
        return Fraction(str(self.given[name]))


COVERS: dict[int, Callable[[Terms], Cover]] = {
    1: lambda t: Cover(deductible=t.deductible1, cap=t.limit1),
    2: lambda t: Cover(deductible=t.deductible1 + t.attachment1, share=t.share1, cap=t.limit1 * t.share1),
    3: lambda t: Cover(deductible=t.deductible1, form="franchise", cap=t.limit1),
    5: lambda t: Cover(share=min(1 - t.deductible1, t.limit1)),
    12: lambda t: Cover(deductible=t.deductible1),
    14: lambda t: Cover(cap=t.limit1),
    15: lambda t: Cover(deductible=t.deductible1, cap_ratio=t.limit1),
    16: lambda t: Cover(share=1 - t.deductible1),
    17: lambda t: Cover(own=t.deductible1, deductible=t.attachment1, share=t.share1, cap=t.limit1 * t.share1),
    20: lambda t: Cover(deductible=t.deductible1, form="reverse_franchise"),
    22: lambda t: Cover(share=t.share1 * t.share2 * t.share3, cap=t.limit1 * t.share2 * t.share3),
    23: lambda t: Cover(share=t.share2 * t.share3, cap=t.limit1 * t.share2 * t.share3),
    24: lambda t: Cover(
        own=1 - t.share1,
        deductible=t.attachment1,
        share=t.share2 * t.share3,
        cap=t.limit1 * t.share2 * t.share3,
    ),
    25: lambda t: Cover(share=t.share1 * t.share2 * t.share3),
    33: lambda t: Cover(own=t.deductible1, cap=t.limit1),
    34: lambda t: Cover(deductible=t.deductible1 + t.attachment1, share=t.share1),
    39: lambda t: Cover(deductible=t.deductible1, form="franchise"),
}
"""By the number of the source's calculation rule."""


def fund_pays(tariff: Tariff, losses: list[int]) -> list[int]:
    """What the fund pays when each loss (fen) is the only visit of another person."""
    count = len(losses)
    visits = MedicalVisits.of(
        count, person=np.arange(count), sequence=0, settle_day=18_000, insured=1, level=1, category_b=losses
    )
    run = settle_visits(compile_segment(tariff, 0), visits, MedicalLedger.empty())
    assert run.settlements.priced.all()
    return [int(paid) for paid in run.settlements.hifp_pay]


def fen(amounts: list[float]) -> list[int]:
    """Amounts of the source in fen, half up."""
    return [int(Fraction(str(amount)) * FEN + Fraction(1, 2)) for amount in amounts]


def test_deductible_share_and_limit(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    file = shared_data / "tariffs/oasis-deductible-limit/calcrule_cases.json"
    compared = 0
    for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
        cover = COVERS[case["terms"]["calcrule_id"]](Terms(case["terms"]))
        paid = fund_pays(cover.tariff(tmp_path), fen(case["loss_in"]))
        assert paid == fen(case["loss_out"]), case["name"]
        compared += len(paid)
    assert compared >= 63
    answered(compared)


def by_hand(rule: int, loss: Fraction, t: Any) -> Fraction:
    """What the source's words say of the rules of which no answer is given."""
    after = loss * (1 - t.deductible1)
    excess = max(loss - t.deductible1 - t.attachment1, Fraction(0))
    match rule:
        case 2:
            return min(excess, t.limit1) * t.share1
        case 12:
            return max(loss - t.deductible1, Fraction(0))
        case 15:
            return min(max(loss - t.deductible1, Fraction(0)), loss * t.limit1)
        case 17:
            return min(max(after - t.attachment1, Fraction(0)), t.limit1) * t.share1
        case 22:
            return min(loss * t.share1, t.limit1) * t.share2 * t.share3
        case 24:
            return min(max(loss * t.share1 - t.attachment1, Fraction(0)), t.limit1) * t.share2 * t.share3
        case 33:
            return min(after, t.limit1)
    return loss if loss > t.deductible1 else Fraction(0)


RATIO_DEDUCTIBLE, RATIO_LIMIT = {16, 17, 33}, {15}


@pytest.mark.parametrize("rule", [2, 12, 15, 17, 22, 24, 33, 39])
def test_rules_without_answers(rule: int, tmp_path: Path) -> None:
    """The other rules of the source's list against its words, for many terms and losses around every edge."""
    rng = np.random.default_rng(rule)
    for _ in range(12):
        ratio = lambda: int(rng.integers(1, 10)) / 10  # noqa: E731
        given = {name: float(rng.integers(1, 50) * 10) for name in ("deductible1", "attachment1", "limit1")}
        given |= {name: ratio() for name in ("share1", "share2", "share3")}
        given |= {"deductible1": ratio()} if rule in RATIO_DEDUCTIBLE else {}
        given |= {"limit1": ratio()} if rule in RATIO_LIMIT else {}
        terms = Terms(given)
        losses = sorted(
            {int(loss) * 10 for loss in rng.integers(0, 2_000, 60)} | {0, round(given["deductible1"]) * 10}
        )
        expected = [by_hand(rule, Fraction(loss), terms) * FEN for loss in losses]
        paid = fund_pays(COVERS[rule](terms).tariff(tmp_path), [loss * FEN for loss in losses])
        assert paid == [int(amount + Fraction(1, 2)) for amount in expected], given
