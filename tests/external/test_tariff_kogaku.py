"""Japan's monthly limit on what patients pay (高額療養費), worked by the ministry and in public test suites.

One tariff file is written from the given tables of terms; cases are visits. Amounts are in hundredths of a yen,
rounded to whole yen where the rule says so. A line of a case is one institution's claim of the month.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tariffs
from tariffs import (
    MedicalLedger,
    MedicalRun,
    MedicalSettlements,
    MedicalVisits,
    Tariff,
    TariffDateError,
    load_tariff,
    settle_visits,
)
from tariffs.columns import Ints
from tariffs.medical import kernels
from tariffs.medical.columns import MedicalMonths
from tariffs.tariff import compile_tariff

pytestmark = pytest.mark.external

CLASSES = {"a": 1, "i": 2, "u": 3, "e": 4, "o": 5}
TUBERCULOSIS, CERTIFIED = 10, 15
"""Second payers: the patient pays 5 % of the line's cost, or at most what the certificate says a month."""
UNLIMITED = 1_000_000_000
LIBRARY_FILE = Path(tariffs.__file__).parent / "library" / "japan.kogaku.medical.yaml"
LEVEL_OF_RATIO = {0.0: 0, 0.1: 1, 0.2: 2, 0.3: 3, 1.0: 10}


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> dict[str, Any]:
    return json.loads((shared_data / "tariffs/jp-kogaku-monthly-cap/cases.json").read_text(encoding="utf-8"))


def terms_of(table: dict[str, Any]) -> list[dict[str, int]]:
    """One table of the source as the terms of the step."""
    return [
        {
            "income_class": CLASSES[name],
            "base": terms["base"] * 100,
            "threshold": terms.get("threshold", 0) * 100,
            "per_10000": round(terms.get("rate", 0) * 10_000),
            "repeated": terms["repeat"] * 100,
        }
        for name, terms in table["classes"].items()
    ]


@pytest.fixture(scope="module")
def tariff(cases: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Tariff:
    """Shares by ratio (as a level), the monthly limit with both dated tables, refused after July 2027."""
    before, after = cases["tables"]
    assert (before["valid_through"], after["valid_from"], after["valid_through"]) == ("2026-07", "2026-08", "2027-07")
    limit = {
        "per": "household",
        "period": "calendar_month",
        "fund": "hifob_pay",
        "to": 100,
        "rounding": "half_up",
        "counted_from": cases["household_min_self"] * 100,
        "repeat": {"months": 3, "within_months": 12},
        "classes": {
            "exempt": CLASSES["o"],
            "bands": [
                {"up_to": 279_999, "income_class": CLASSES["e"]},
                {"up_to": 529_999, "income_class": CLASSES["u"]},
                {"up_to": 829_999, "income_class": CLASSES["i"]},
                {"income_class": CLASSES["a"]},
            ],
        },
        "second_payer": {
            "fund": "oth_pay",
            "income_class": CLASSES["u"],
            "by": [
                {"program": TUBERCULOSIS, "person_pays": "ratio", "per_10000": 500},
                {"program": CERTIFIED, "person_pays": "certificate"},
            ],
        },
        "by": {"use": "terms"},
    }
    shares = [{"insured": 1, "level": lv, "per_10000": round(10_000 * (1 - r))} for r, lv in LEVEL_OF_RATIO.items()]
    content = {
        "id": "test.kogaku",
        "kind": "medical",
        "title": "written by a test",
        "source": "jp-kogaku-monthly-cap",
        "money": {"currency": "JPY", "unit": "fen"},
        "policy": "engine_priced",
        "late": {"grace_days": 0, "after_grace": "forward"},
        "published": {"first": date(2015, 1, 1), "last": date(2027, 7, 31)},
        "values": {"terms": {date(2015, 1, 1): terms_of(before), date(2026, 8, 1): terms_of(after)}},
        "steps": [
            {"prepay": {"category_b_per_10000": 0, "rounding": "half_up"}},
            {"deductible": {"per": "person", "period": "visit", "by": [{"insured": 1, "amount": 0}]}},
            {"share": {"rounding": "half_up", "by": shares}},
            {
                "annual_cap": {
                    "per": "person",
                    "period": "calendar_year",
                    "by": [{"insured": 1, "amount": UNLIMITED}],
                }
            },
            {"monthly_limit": limit},
            {"waterfall": {"order": ["cash"]}},
        ],
        "tests": [
            {
                "name": "nothing",
                "date": date(2026, 7, 1),
                "rows": [{"insured": 1, "level": 3, "household": 1}],
                "expect": [{"psn_part_amt": 0}],
            }
        ],
    }
    file = tmp_path_factory.mktemp("kogaku") / "kogaku.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_tariff(file)


INCOMES = {"a": 1_000_000, "i": 600_000, "u": 400_000, "e": 200_000, "o": 0}


def settle_month(tariff: Tariff, month: str, income_class: str, lines: list[int], **more: Any) -> MedicalRun:
    """The lines (yen) of one household's month, one after the other, at a ratio (0.3 if not said) of own share."""
    day = date.fromisoformat(f"{month}-15")
    repeated, ratio = more.pop("repeat", False), more.pop("ratio", 0.3)
    ledger = MedicalLedger.empty()
    number = day.year * 12 + day.month - 1
    if repeated:
        reached = MedicalMonths.zeros(3)
        reached.owner[:], reached.month[:], reached.reached[:] = 9, [number - 11, number - 6, number - 1], 1
        ledger = replace(ledger, months=reached)
    visits = MedicalVisits.of(
        len(lines),
        person=1,
        sequence=np.arange(len(lines)),
        settle_day=(day - date(1970, 1, 1)).days,
        insured=1,
        level=LEVEL_OF_RATIO[ratio],
        household=9,
        category_a=[yen * 100 for yen in lines],
        **({"income": INCOMES[income_class], "income_exempt": int(income_class == "o")} | more),
    )
    run = settle_visits(compile_tariff(tariff, day), visits, ledger)
    assert run.settlements.priced.all()
    return run


def yen(amounts: Ints) -> int:
    """The sum of amounts in hundredths; whole yen, or the comparison fails here."""
    whole, rest = divmod(int(amounts.sum()), 100)
    assert rest == 0
    return whole


@pytest.mark.parametrize("terms", ["given", "library"])
def test_ministry_examples(
    cases: dict[str, Any], terms: str, request: pytest.FixtureRequest, answered: Callable[[int], None]
) -> None:
    """Every worked example: what the patient pays, and the three checks of bills with a second payer.

    By the file written from the given terms, and by the rule file of the library.
    """
    tariff = request.getfixturevalue("tariff") if terms == "given" else load_tariff(LIBRARY_FILE)
    compared = 0
    for case in cases["mhlw_2015_worked_examples"]:
        assert case["yen"] == [points * 10 for points in case["points"]]
        second = case.get("second_payer")
        covered = second["covers_line"] if second else []
        limit = second.get("monthly_patient_cap") if second else None
        program = TUBERCULOSIS if limit is None else CERTIFIED
        settled = settle_month(
            tariff,
            "2015-01",
            case["class"],
            case["yen"],
            ratio=case["coinsurance"],
            repeat=case.get("repeat", False),
            program=[program * (line in covered) for line in range(len(case["yen"]))],
            program_limit=(limit or 0) * 100,
        ).settlements
        answers = {
            "patient_pays": yen(settled.psn_part_amt),
            "insurer_uncovered_total": yen(settled.psn_part_amt + settled.oth_pay),
            "second_payer_in_scope": second_payer_in_scope(settled, covered),
            "second_payer_patient_pays": yen(settled.psn_part_amt[covered]),
        }
        expected = {"patient_pays": case["patient_pays"]} | case.get("checks", {})
        assert {name: answers[name] for name in expected} == expected, case["case"]
        compared += len(expected)
    answered(compared if terms == "given" else 0)


def second_payer_in_scope(settled: MedicalSettlements, covered: list[int]) -> int:
    """What the insurer leaves of the lines of a second payer (yen)."""
    return yen((settled.psn_part_amt + settled.oth_pay)[covered])


def test_published_limits(cases: dict[str, Any], tariff: Tariff, answered: Callable[[int], None]) -> None:
    """The limit is what a patient pays who would have to pay the whole cost.

    A cost below the limit is raised to the limit: both are below the threshold, where the limit is the same.
    """
    for case in cases["published_limits"]:
        cost = max(case["medical"], case["limit"])
        repeat = case.get("repeat", False)
        run = settle_month(tariff, case["month"], case["class"], [cost], ratio=1.0, repeat=repeat)
        assert yen(run.settlements.psn_part_amt) == case["limit"], case
    answered(len(cases["published_limits"]))


def test_households_are_added_up(cases: dict[str, Any], tariff: Tariff, answered: Callable[[int], None]) -> None:
    compared = 0
    for case in cases["household_aggregation"]:
        run = settle_month(tariff, case["month"], case["class"], case["items"], ratio=case["ratio"])
        burden = int(run.settlements.psn_part_amt.sum()) // 100
        answers = {
            "counted": int((run.ledger.settled.month_moves[:, kernels.MEDICAL] > 0).sum()),
            "total_medical": yen(run.settlements.medfee_sumamt),
            "limit": burden,
            "final_burden": burden,
            "refund": yen(run.settlements.hifob_pay),
        }
        expected = {name: case[name] for name in answers if name in case}
        assert {name: answers[name] for name in expected} == expected, case
        compared += len(expected)
    answered(compared)


def test_income_decides_the_class(cases: dict[str, Any], tariff: Tariff, answered: Callable[[int], None]) -> None:
    """The class shows in the limit on a cost of a million yen."""
    limits = {"a": 254_180, "i": 171_820, "u": 87_430, "e": 57_600, "o": 35_400}
    for case in cases["classification"]:
        income, exempt = case["standard_monthly"], int(case["non_taxed"])
        run = settle_month(tariff, "2026-07", "u", [1_000_000], income=income, income_exempt=exempt)
        assert yen(run.settlements.psn_part_amt) == limits[case["class"]], case
    answered(len(cases["classification"]))


def test_no_month_after_the_published_ones(tariff: Tariff) -> None:
    with pytest.raises(TariffDateError):
        settle_month(tariff, "2027-08", "u", [1_000_000])
