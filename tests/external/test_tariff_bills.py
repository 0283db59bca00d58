"""Medical and utility bills worked out by other people, priced by tariff files written here.

Terms of the sources map to ours as the comments say; amounts are in fen (cents), so a source's thousandths are
rounded half-up once.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tariffs import (
    MedicalState,
    MedicalVisits,
    UtilityState,
    UtilityUsages,
    compile_segment,
    load_tariff,
    price_utility,
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


def medical_terms(rule: int, terms: dict[str, float]) -> dict[str, int]:
    """An Oasis calculation rule in our three terms; the rules not listed have no counterpart here."""
    fen = {name: round(value * 100) for name, value in terms.items()}
    ratio = {name: round(value * 10_000) for name, value in terms.items()}
    unlimited = 1_000_000_000
    match rule:
        case 1:
            return {"deductible": fen["deductible1"], "share": 10_000, "cap": fen["limit1"]}
        case 14:
            return {"deductible": 0, "share": 10_000, "cap": fen["limit1"]}
        case 16:  # a deductible in per cent of the loss is a share
            return {"deductible": 0, "share": 10_000 - ratio["deductible1"], "cap": unlimited}
        case 23:  # limit before the two shares = cap after them
            share = ratio["share2"] * ratio["share3"] // 10_000
            return {"deductible": 0, "share": share, "cap": fen["limit1"] * share // 10_000}
        case 25:
            share = ratio["share1"] * ratio["share2"] * ratio["share3"] // 10_000**2
            return {"deductible": 0, "share": share, "cap": unlimited}
        case 34:
            deductible = fen["deductible1"] + fen["attachment1"]
            return {"deductible": deductible, "share": ratio["share1"], "cap": unlimited}
    return {}


def test_deductible_share_and_cap(tmp_path: Path, shared_data: Path) -> None:
    """42 answers of another engine for six ways to combine deductible, share and limit."""
    file = shared_data / "tariffs/oasis-deductible-limit/calcrule_cases.json"
    compared = 0
    for case in json.loads(file.read_text())["cases"]:
        terms = medical_terms(case["terms"]["calcrule_id"], case["terms"])
        if not terms:
            continue
        losses = [round(loss * 100) for loss in case["loss_in"]]
        expected = [round(loss * 100) for loss in case["loss_out"]]
        assert settle_one_visit_each(tmp_path, losses, **terms).tolist() == expected, case["name"]
        compared += len(expected)
    assert compared == 42


def test_deductible_example(tmp_path: Path, shared_data: Path) -> None:
    example = json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())["bcbst_deductible"]
    paid = settle_one_visit_each(
        tmp_path,
        [example["bill"] * 100],
        deductible=example["deductible"] * 100,
        share=round(example["plan_share"] * 10_000),
        cap=100_000_000,
    )
    assert paid.tolist() == [example["plan_pays"] * 100]


def price_usage(folder: Path, tiers: list[dict[str, Any]], usage_milli: int) -> int:
    """Gross fen of one bill at the beginning of a year."""
    file = folder / "utility.yaml"
    file.write_text(f"""id: test.utility
kind: utility{HEADER}steps:
  - tiers:
      per: account
      period: calendar_year
      rounding: half_up
      rounding_of: bill
      tiers: {json.dumps(tiers)}
tests:
  - {{name: nothing, date: 2020-01-01, rows: [{{usage_milli: 0}}], expect: [{{gross: 0}}]}}
""")
    usages = UtilityUsages.of(1, account=1, sequence=1, period_day=18_000, usage_milli=usage_milli)
    prices, _ = price_utility(compile_segment(load_tariff(file), 0), usages, UtilityState.zeros(0))
    return int(prices.gross[0])


def tiers_of(edges: list[int], prices: list[float], component: str = "water") -> list[dict[str, Any]]:
    """Tiers in our notation, prices from yuan to 1/10,000 yuan."""
    return [
        {"prices": {component: round(price * 10_000)}} | ({} if edge is None else {"up_to": edge})
        for edge, price in zip([*edges, None], prices, strict=True)
    ]


def test_water_bills(tmp_path: Path, shared_data: Path) -> None:
    """Hefei's example, and the four RateParser bills less the parts that are no tiers (service, sewer)."""
    hefei = json.loads((shared_data / "tariffs/worked-examples/examples.json").read_text())["hefei_water"]
    tiers = tiers_of(hefei["tiers_m3_month"], hefei["prices"])
    assert price_usage(tmp_path, tiers, 20_000) == round(hefei["example"]["total"] * 100)

    cases = json.loads((shared_data / "tariffs/owrs-water/rateparser_cases.json").read_text())["cases"]
    # Tier starts name the first unit of a tier, so a tier ends one unit before the next start.
    edges = [[610], [14, 20, 25], [13], [7, 11, 14]]
    # 2.00 for each of ten sewer units, except irrigation, where sewer costs 1.50 per unit, and no sewer at all.
    sewer = [Decimal(20), Decimal(20), Decimal("61.5"), Decimal(0)]
    for case, case_edges, other in zip(cases, edges, sewer, strict=True):
        bill = Decimal(str(case["expected_bill"])) - case["service"] - other
        expected = int((bill * 100).quantize(Decimal(1), ROUND_HALF_UP))
        usage = round(case["usage_ccf"] * 1000)
        assert price_usage(tmp_path, tiers_of(case_edges, case["tier_prices"]), usage) == expected, case["class"]
