"""Run the worked examples that stand inside a tariff file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from tariffs.columns import Columns
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffFileError
from tariffs.medical.columns import MedicalLedger, MedicalVisits
from tariffs.medical.pricing import settle_visits
from tariffs.schema import InlineTest
from tariffs.tariff import Tariff, compile_tariff
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.pricing import price_journeys, price_transit
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility
from tariffs.written import value_of


@dataclass(frozen=True)
class InlineTestFailure:
    """One expected value that did not come out."""

    test: str
    row: int
    column: str
    expected: int | bool | str
    actual: int | bool | str


def run_inline_tests(tariff: Tariff) -> list[InlineTestFailure]:
    """Price every inline test of the file; an empty list means that all of them hold.

    Raises TariffFileError for a test that names an unknown column or another number of rows than answers,
    TariffDateError for one dated outside the published range.
    """
    failures: list[InlineTestFailure] = []
    for index, test in enumerate(tariff.tests):
        place = f"tests[{index}]"
        if len(test.rows) != len(test.expect):
            raise TariffFileError(tariff.file, place, test.name, "give as many answers as rows")
        compiled = compile_tariff(tariff, test.date)
        try:
            answers = _price(tariff, compiled, test)
            failures.extend(_differences(tariff, compiled, test, answers))
        except (TypeError, KeyError, ValueError) as error:
            raise TariffFileError(tariff.file, place, test.name, str(error)) from error
    return failures


def _price(tariff: Tariff, compiled: CompiledTariff, test: InlineTest) -> Columns:
    columns = {name: [row.get(name) for row in test.rows] for row in test.rows for name in row}
    given: dict[str, Any] = {}
    for name, values in columns.items():
        if None in values:
            raise TypeError(f"{name} must stand in every row of the test or in none")
        given[name] = [value_of(name, v) if isinstance(v, str) else v for v in values]
    length, day = len(test.rows), (test.date - date(1970, 1, 1)).days
    order: dict[str, Any] = {"sequence": np.arange(length)}
    if compiled.kind == "transit":
        if not compiled.transit_program().accumulators:
            return price_transit(compiled, TransitJourneys.of(length, **given))
        noon = {} if "exit_time" in given else {"entry_time": day * 86_400 + 43_200}
        return price_journeys(tariff, TransitJourneys.of(length, **(order | noon | given)))[0]
    if compiled.kind == "medical":
        visits = MedicalVisits.of(length, **(order | {"person": 1, "settle_day": day} | given))
        return settle_visits(compiled, visits, MedicalLedger.empty()).settlements
    usages = UtilityUsages.of(length, **(order | {"account": 1, "period_day": day} | given))
    return price_utility(compiled, usages, UtilityState.zeros(0))[0]


def _differences(
    tariff: Tariff, compiled: CompiledTariff, test: InlineTest, answers: Columns
) -> list[InlineTestFailure]:
    failures = []
    for row, expected in enumerate(test.expect):
        for column, value in expected.items():
            actual = _answer(tariff, compiled, answers, row, column)
            if actual != value:
                failures.append(InlineTestFailure(test.name, row, column, value, actual))
    return failures


def _answer(tariff: Tariff, compiled: CompiledTariff, answers: Columns, row: int, column: str) -> int | bool | str:
    """One value of the answer; rules by name, components of a utility bill by the component's name."""
    if column == "rule":
        rule: int = answers.rule[row]  # type: ignore[attr-defined]  # every answer has it
        if isinstance(answers, TransitPrices):
            return tariff.compiled[int(answers.segment[row])].rule_names[rule]
        return compiled.rule_names[rule]
    if isinstance(answers, UtilityPrices) and column in compiled.component_names:
        return int(answers.components[row, compiled.component_names.index(column)])
    if not hasattr(answers, column):
        raise KeyError(f"answers have no column {column}")
    value = getattr(answers, column)[row]
    return bool(value) if value.dtype == np.bool_ else int(value)
