"""Run the worked examples that stand inside a tariff file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tariffs.columns import NULL, Column, Columns, Days, Ints
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffFileError
from tariffs.medical.columns import MedicalLedger, MedicalSettlements, MedicalVisits
from tariffs.medical.pricing import settle_visits
from tariffs.schema import InlineTest
from tariffs.tariff import Tariff, compile_tariff
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.pricing import price_journeys, price_transit
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility
from tariffs.written import day_number, read_cell

_DAY_S: Final = 86_400
_ROWS: Final[Mapping[str, type[Columns]]] = {
    "transit": TransitJourneys,
    "medical": MedicalVisits,
    "utility": UtilityUsages,
}
_ANSWERS: Final[Mapping[str, type[Columns]]] = {
    "transit": TransitPrices,
    "medical": MedicalSettlements,
    "utility": UtilityPrices,
}
_OWNER: Final = {"transit": ("card", 0), "medical": ("person", 1), "utility": ("account", 1)}
"""Whose rows an example has, and who that is where it does not say."""
_DAYS: Final = ("settle_day", "period_day")
"""Columns that are the day of the example where it does not say."""


@dataclass(frozen=True)
class InlineTestFailure:
    """One expected value that did not come out."""

    test: str
    row: int
    column: str
    expected: int | bool | str
    actual: int | bool | str
    rule: str
    """The rule that decided the row."""


def run_inline_tests(tariff: Tariff) -> list[InlineTestFailure]:
    """Price every inline test of the file; an empty list means that all of them hold.

    Raises TariffFileError for a test that names an unknown column, a value no column can hold or another number of
    rows than answers, TariffDateError for one dated outside the published range.
    """
    failures: list[InlineTestFailure] = []
    for index, test in enumerate(tariff.tests):
        place = f"tests[{index}]"
        compiled = compile_tariff(tariff, test.date)
        given = columns_of_test(tariff, index)
        _refuse_answers(tariff, compiled, index)
        try:
            answers = _price(tariff, compiled, test, given)
        except (TypeError, ValueError) as error:
            raise TariffFileError(tariff.file, place, test.name, str(error)) from error
        failures.extend(_differences(tariff, compiled, test, answers))
    return failures


def columns_of_test(tariff: Tariff, index: int) -> dict[str, Ints]:
    """The rows of an inline test as int64 columns, :data:`NULL` where a row says nothing or ``null``.

    Whose rows they are is said by none or by all: without an owner all are of one. Raises TariffFileError.
    """
    test, place = tariff.tests[index], f"tests[{index}]"
    if len(test.rows) != len(test.expect):
        raise TariffFileError(tariff.file, place, test.name, "give as many answers as rows")
    specs, (owner, _) = _ROWS[tariff.kind].SPECS, _OWNER[tariff.kind]
    columns: dict[str, Ints] = {}
    for number, row in enumerate(test.rows):
        for name, written in row.items():
            at = f"{place}.rows[{number}].{name}"
            if name not in specs:
                remedy = f"no such column for a {tariff.kind} tariff; there are: {', '.join(specs)}"
                raise TariffFileError(tariff.file, at, name, remedy)
            cells = columns.setdefault(name, np.full(len(test.rows), NULL, np.int64))
            try:
                cells[number] = read_cell(name, written)
            except (ValueError, OverflowError) as error:
                raise TariffFileError(tariff.file, at, written, str(error)) from error
            if cells[number] != NULL and not _fits(int(cells[number]), specs[name]):
                raise TariffFileError(tariff.file, at, written, "write values the column can hold")
    if owner in columns and (missing := np.flatnonzero(columns[owner] == NULL)).size:
        at = f"{place}.rows[{int(missing[0])}].{owner}"
        remedy = "say it in every row of the example, or in none: then all are of one"
        raise TariffFileError(tariff.file, at, None, remedy)
    for name, spec in specs.items():
        if spec.default is None and name not in (owner, "sequence", *_DAYS):
            missing = np.flatnonzero(columns.get(name, np.full(len(test.rows), NULL, np.int64)) == NULL)
            if missing.size:
                at = f"{place}.rows[{int(missing[0])}].{name}"
                raise TariffFileError(tariff.file, at, None, "the tariff needs this value")
    return columns


def _fits(value: int, spec: Column) -> bool:
    bounds = np.iinfo(spec.dtype)  # type: ignore[type-var]  # every column is of integers
    return bool(bounds.min <= value <= bounds.max)


def _price(tariff: Tariff, compiled: CompiledTariff, test: InlineTest, given: Mapping[str, Ints]) -> Columns:
    length, day = len(test.rows), day_number(test.date)
    owner, somebody = _OWNER[tariff.kind]
    own_order: dict[str, Any] = {"sequence": np.arange(length)} | dict.fromkeys(_DAYS, day)
    columns = {owner: somebody} | {name: own_order[name] for name in own_order if name in _ROWS[tariff.kind].SPECS}
    for name, cells in given.items():
        default: Any = columns.get(name, _ROWS[tariff.kind].SPECS[name].default)
        columns[name] = cells if default is None else np.where(cells == NULL, default, cells)
    if compiled.kind == "transit":
        if not compiled.transit_program().accumulators:
            return price_transit(compiled, TransitJourneys.of(length, **columns))
        journeys = TransitJourneys.of(length, **columns)
        return price_journeys(tariff, at_noon(journeys, np.full(length, day, np.int32)))[0]
    if compiled.kind == "medical":
        visits = MedicalVisits.of(length, **columns)
        return settle_visits(compiled, visits, MedicalLedger.empty()).settlements
    usages = UtilityUsages.of(length, **columns)
    return price_utility(compiled, usages, UtilityState.zeros(0))[0]


def at_noon(journeys: TransitJourneys, day: Days) -> TransitJourneys:
    """The journeys with noon of their ``day`` for those without any time: a tariff that remembers counts by time."""
    untimed = (journeys.entry_time == NULL) & (journeys.exit_time == NULL)
    noon = day.astype(np.int64) * _DAY_S + _DAY_S // 2
    return replace(journeys, entry_time=np.where(untimed, noon, journeys.entry_time))


def _refuse_answers(tariff: Tariff, compiled: CompiledTariff, index: int) -> None:
    """TariffFileError for an expected column that answers do not have."""
    known = [name for name in _ANSWERS[tariff.kind].SPECS if name not in ("segment", "components")]
    known += compiled.component_names
    for number, expected in enumerate(tariff.tests[index].expect):
        for name in expected:
            if name not in known:
                at = f"tests[{index}].expect[{number}].{name}"
                remedy = f"no such answer of a {tariff.kind} tariff; there are: {', '.join(known)}"
                raise TariffFileError(tariff.file, at, name, remedy)


def _differences(
    tariff: Tariff, compiled: CompiledTariff, test: InlineTest, answers: Columns
) -> list[InlineTestFailure]:
    failures = []
    for row, expected in enumerate(test.expect):
        for column, value in expected.items():
            actual = _answer(tariff, compiled, answers, row, column)
            if actual != value:
                rule = str(_answer(tariff, compiled, answers, row, "rule"))
                failures.append(InlineTestFailure(test.name, row, column, value, actual, rule))
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
    value = getattr(answers, column)[row]
    return bool(value) if value.dtype == np.bool_ else int(value)
