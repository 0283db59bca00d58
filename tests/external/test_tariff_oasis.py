"""Deductible, share and limit in the order of another engine (OasisLMF), as terms of medical files.

Eight of the nine calculation rules given are expressed. Rule 20 (reverse franchise: a loss is paid in full only while
it stays within the deductible) has no counterpart in medical insurance and none here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tariffs import MedicalLedger, MedicalVisits, compile_segment, load_tariff, settle_visits

pytestmark = pytest.mark.external

UNLIMITED = 1_000_000_000
NOT_EXPRESSED = {20}


def steps_of(rule: int, terms: dict[str, float]) -> dict[str, Any]:
    """Deductible, share and cap in fen and 1/10,000; amounts of the source count as yuan."""
    fen = {name: round(value * 100) for name, value in terms.items()}
    ratio = {name: round(value * 10_000) for name, value in terms.items()}
    match rule:
        case 1:  # deductible, then limit
            return {"deductible": fen["deductible1"], "cap": fen["limit1"]}
        case 3:  # a loss above the deductible owes none of it
            return {"deductible": fen["deductible1"], "franchise": True, "cap": fen["limit1"]}
        case 5:  # deductible and limit in per cent of the loss: the smaller share
            return {"share": min(10_000 - ratio["deductible1"], ratio["limit1"])}
        case 14:
            return {"cap": fen["limit1"]}
        case 16:
            return {"share": 10_000 - ratio["deductible1"]}
        case 23:  # the limit stands before the two shares: after them it is the limit times both
            share = ratio["share2"] * ratio["share3"] // 10_000
            return {"share": share, "cap": fen["limit1"] * share // 10_000}
        case 25:
            return {"share": ratio["share1"] * ratio["share2"] * ratio["share3"] // 10_000**2}
        case 34:
            return {"deductible": fen["deductible1"] + fen["attachment1"], "share": ratio["share1"]}
    raise AssertionError(f"calculation rule {rule} has no terms here")


def fund_pays(folder: Path, losses: list[int], terms: dict[str, Any]) -> list[int]:
    """What the fund pays when each loss (fen) is the only visit of another person."""
    deductible = {
        "per": "person",
        "period": "visit",
        "franchise": terms.get("franchise", False),
        "by": [{"insured": 1, "amount": terms.get("deductible", 0)}],
    }
    cap = {"per": "person", "period": "calendar_year", "by": [{"insured": 1, "amount": terms.get("cap", UNLIMITED)}]}
    content = {
        "steps": [
            {"prepay": {"category_b_per_10000": 0, "rounding": "half_up"}},
            {"deductible": deductible},
            {"share": {"rounding": "half_up", "by": [{"insured": 1, "per_10000": terms.get("share", 10_000)}]}},
            {"annual_cap": cap},
            {"waterfall": {"order": ["cash"]}},
        ]
    }
    header = """id: test.oasis
kind: medical
title: written by a test
source: oasis-deductible-limit
money: {currency: CNY, unit: fen}
policy: engine_priced
late: {grace_days: 0, after_grace: forward}
published: {first: 2000-01-01, last: 2030-12-31}
tests: [{name: nothing, date: 2020-01-01, rows: [{insured: 1, level: 1}], expect: [{hifp_pay: 0}]}]
"""
    file = folder / "oasis.yaml"
    file.write_text(header + yaml.safe_dump(content), encoding="utf-8")
    count = len(losses)
    visits = MedicalVisits.of(
        count, person=np.arange(count), sequence=0, settle_day=18_000, insured=1, level=1, category_a=losses
    )
    run = settle_visits(compile_segment(load_tariff(file), 0), visits, MedicalLedger.empty())
    assert run.settlements.priced.all()
    return [int(paid) for paid in run.settlements.hifp_pay]


def test_deductible_share_and_limit(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    file = shared_data / "tariffs/oasis-deductible-limit/calcrule_cases.json"
    compared = 0
    for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
        rule = case["terms"]["calcrule_id"]
        if rule in NOT_EXPRESSED:
            continue
        losses = [round(loss * 100) for loss in case["loss_in"]]
        expected = [round(loss * 100) for loss in case["loss_out"]]
        assert fund_pays(tmp_path, losses, steps_of(rule, case["terms"])) == expected, case["name"]
        compared += len(expected)
    answered(compared)
