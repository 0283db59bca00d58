"""What a tariff asks of rows, whose payments it decides, and what it remembers; every column has an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tariffs import (
    MedicalVisits,
    Tariff,
    UtilityUsages,
    buys_usage,
    columns_needed,
    load_tariff,
    months_back,
    payer_fields,
)
from tariffs.needs import NEVER_ASKED, USAGE_COLUMNS, VISIT_COLUMNS, funds_that_remember, remembers

LIBRARY = Path(__file__).parents[3] / "tariffs" / "library"

NEEDED = {
    "demo.medical": {"level"},
    "demo.employee.outpatient": {"category_b_service", "category_b_material", "relation", "person_type", "level"},
    "demo.resident.outpatient": {"relation", "level", "visit_kind", "aid"},
    "demo.water": {"household"},
    "demo.electricity_tou": {"register", "household", "days", "days_overdue"},
    "demo.prepaid_electricity": {"purchase"},
}


def tariff(name: str) -> Tariff:
    return load_tariff(LIBRARY / f"{name}.yaml")


@pytest.mark.parametrize("name", NEEDED)
def test_columns_that_the_steps_read(name: str) -> None:
    assert columns_needed(tariff(name).segments[-1]) == NEEDED[name]


def test_every_column_is_always_read_or_asked_for_or_harmless() -> None:
    """A new column of visits or usages has to be thought of in tariffs/needs.py."""
    files = [load_tariff(file) for file in sorted(LIBRARY.glob("*.yaml"))]
    asked = {name for each in files if each.kind != "transit" for s in each.segments for name in columns_needed(s)}
    in_no_file = {"program", "program_limit", "income_class", "income", "income_exempt", "household", "minute"}
    in_no_file |= {"customer_class", "meter_size", "allowance_milli", "demand_milli"}
    known = asked | in_no_file | NEVER_ASKED | VISIT_COLUMNS | USAGE_COLUMNS | {"bill"}
    assert set(MedicalVisits.SPECS) | set(UtilityUsages.SPECS) == known


def test_payers_in_the_order_in_which_they_pay() -> None:
    assert payer_fields(tariff("demo.medical").segments[-1]) == ("hifp_pay", "acct_pay")
    assert payer_fields(tariff("demo.resident.outpatient").segments[0]) == (
        "hifp_pay",
        "hifmi_pay",
        "maf_pay",
        "acct_mulaid_pay",
    )
    assert "acct_pay" in payer_fields(tariff("demo.employee.outpatient").segments[0])


def test_what_is_remembered() -> None:
    assert not funds_that_remember(tariff("demo.medical").segments[0])
    assert funds_that_remember(tariff("demo.resident.outpatient").segments[0])
    assert remembers(tariff("demo.water").segments[0])
    assert not remembers(tariff("demo.property").segments[0])
    assert months_back(tariff("japan.kogaku.medical").segments) == 12
    assert months_back(tariff("demo.water").segments) == 0
    assert buys_usage(tariff("demo.prepaid_electricity").segments[0])
    assert not buys_usage(tariff("demo.electricity").segments[0])
