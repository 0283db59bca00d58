"""What differs between the three kinds of tariff when an analyst prices rows, and one way to price them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Codes, Columns, Days, Ints
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffError
from tariffs.inline_tests import at_noon
from tariffs.medical.columns import MedicalLedger, MedicalSettlements, MedicalVisits
from tariffs.medical.pricing import settle_visits
from tariffs.tariff import Tariff
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.pricing import accumulator_names, price_journeys, price_transit
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility

_MARKS = frozenset({"rule", "segment", "priced", "components"})
"""Answer columns that are told apart from the amounts."""
_NOT_MONEY = frozenset({"fund", "usage_milli", "payer_region"})
"""Codes and quantities among the amounts."""


@dataclass(frozen=True)
class Service:
    """The rows and answers of one kind of tariff."""

    rows: type[Columns]
    answers: type[Columns]
    owner: str
    """Column of the owner of accumulators."""
    shared: tuple[str, ...]
    """Columns of owners several of those may share; only where rows have them."""
    day: str | None
    """Column of the day that decides the segment, where there is one."""
    times: tuple[str, ...]
    """Columns of times that decide it where there is none, the most telling last."""
    groups: tuple[str, ...]
    """Columns a comparison is broken down by."""
    payers: tuple[str, ...]
    """Amounts that together are the whole price, first what the card holder feels."""
    shown: tuple[str, ...]
    """Amounts that tell prices apart at a glance."""
    names: frozenset[str]
    """Columns whose numbers name something: between two of them there is nothing."""


SERVICES: Mapping[str, Service] = {
    "transit": Service(
        TransitJourneys,
        TransitPrices,
        owner="card",
        shared=(),
        day=None,
        times=("exit_time", "entry_time"),
        groups=("card_class", "operator"),
        payers=("card_pays", "fund_pays", "operator_bears"),
        shown=("gross", "card_pays"),
        names=frozenset(
            {"card", "sequence", "line", "entry_station", "exit_station", "operator", "product", "counted_at"}
        ),
    ),
    "medical": Service(
        MedicalVisits,
        MedicalSettlements,
        owner="person",
        shared=("household",),
        day="settle_day",
        times=(),
        groups=("insured", "level"),
        payers=("psn_part_amt", "fund_pay_sumamt", "hosp_part_amt"),
        shown=("fund_pay_sumamt", "psn_part_amt"),
        names=frozenset(
            {"person", "sequence", "insured", "level", "visit_kind", "relation", "aid", "household", "cancels"}
            | {"program", "income_class", "home_region", "person_type"}
        ),
    ),
    "utility": Service(
        UtilityUsages,
        UtilityPrices,
        owner="account",
        shared=(),
        day="period_day",
        times=(),
        groups=("customer_class", "household"),
        payers=("gross",),
        shown=("gross",),
        names=frozenset({"account", "sequence", "bill", "register", "customer_class", "meter_size"}),
    ),
}
"""By kind of tariff."""


@dataclass(frozen=True)
class Priced:
    """Answers in the order of the rows."""

    amounts: Mapping[str, Ints]
    """Every answer column that is an amount or code, the components of a utility bill by their names."""
    rule: Codes
    """Index into ``rule_names``."""
    rule_names: tuple[str, ...]
    segment: Ints
    """Index into the tariff's segments, −1 outside the published range."""
    priced: Bools

    def __len__(self) -> int:
        return len(self.rule)

    def rule_of(self, row: int) -> str:
        """Name of the rule that decided a row."""
        return self.rule_names[int(self.rule[row])]

    def spread(self, at: Ints, segment: Ints) -> Priced:
        """These answers as those of the rows ``at`` among as many as ``segment`` has; the others have no price."""
        length = len(segment)
        rule, priced = np.zeros(length, self.rule.dtype), np.zeros(length, np.bool_)
        rule[at], priced[at] = self.rule, self.priced
        amounts = {name: np.zeros(length, np.int64) for name in self.amounts}
        for name, values in amounts.items():
            values[at] = self.amounts[name]
        return Priced(amounts, rule, self.rule_names, segment, priced)


def price_rows(tariff: Tariff, rows: Columns, day: Days) -> Priced:
    """Price rows of the tariff's kind, each by the segment of its ``day``.

    Counters begin at zero and are carried from segment to segment. Rows outside the published range come back
    unpriced with segment −1. Raises TariffError for rows that contradict each other (one owner's order twice).
    """
    try:
        return _price_rows(tariff, rows, day)
    except ValueError as error:
        raise TariffError(str(error)) from error


def _price_rows(tariff: Tariff, rows: Columns, day: Days) -> Priced:
    segment = tariff.segment_of(day)
    gathered = _Gathered(len(rows), segment)
    whole = _price_by_card(tariff, rows, day) if isinstance(rows, TransitJourneys) and remembers(tariff) else None
    state: object = None
    for index in np.unique(segment[segment >= 0]):
        at = np.flatnonzero(segment == index)
        compiled = tariff.compiled[index]
        if whole is None:
            answers, state = _PRICERS[tariff.kind](compiled, rows.take(at), state)
        else:
            answers = whole.take(at)
        gathered.put(compiled, answers, at)
    return gathered.priced()


def remembers(tariff: Tariff) -> bool:
    """Whether the price of a row may depend on rows of its owner before it."""
    return tariff.kind != "transit" or bool(accumulator_names(tariff))


def is_money(column: str) -> bool:
    """Whether an answer column counts fen."""
    return column not in _NOT_MONEY


def sums(priced: Priced, rows: Bools | None = None) -> dict[str, int]:
    """Fen by answer column, over all rows or those of a mask."""
    chosen = slice(None) if rows is None else rows
    return {name: int(values[chosen].sum()) for name, values in priced.amounts.items() if is_money(name)}


class _Gathered:
    """Answers of several segments put together row by row."""

    def __init__(self, length: int, segment: Ints) -> None:
        self._length = length
        self._segment = segment
        self._amounts: dict[str, Ints] = {}
        self._rule = np.zeros(length, np.uint16)
        self._priced = np.zeros(length, np.bool_)
        self._names: dict[str, int] = {"not covered": 0}

    def put(self, compiled: CompiledTariff, answers: Columns, at: Ints) -> None:
        named = {name: getattr(answers, name) for name in answers.SPECS if name not in _MARKS}
        if isinstance(answers, UtilityPrices):
            named |= {name: answers.components[:, k] for k, name in enumerate(compiled.component_names)}
        for name, values in named.items():
            self._amounts.setdefault(name, np.zeros(self._length, np.int64))[at] = values
        numbers = [self._names.setdefault(name, len(self._names)) for name in compiled.rule_names]
        self._rule[at] = np.array(numbers, np.uint16)[answers.rule]  # type: ignore[attr-defined]
        self._priced[at] = answers.priced  # type: ignore[attr-defined]

    def priced(self) -> Priced:
        return Priced(self._amounts, self._rule, tuple(self._names), self._segment, self._priced)


def _price_by_card(tariff: Tariff, rows: TransitJourneys, day: Days) -> TransitPrices:
    """Rows without a time count at noon of their day, as in inline tests."""
    return price_journeys(tariff, at_noon(rows, day))[0]


def _transit(compiled: CompiledTariff, rows: Columns, state: object) -> tuple[Columns, object]:
    assert isinstance(rows, TransitJourneys)
    return price_transit(compiled, rows), None


def _medical(compiled: CompiledTariff, rows: Columns, state: object) -> tuple[Columns, object]:
    assert isinstance(rows, MedicalVisits)
    run = settle_visits(compiled, rows, state if isinstance(state, MedicalLedger) else MedicalLedger.empty())
    return run.settlements, run.ledger


def _utility(compiled: CompiledTariff, rows: Columns, state: object) -> tuple[Columns, object]:
    assert isinstance(rows, UtilityUsages)
    return price_utility(compiled, rows, state if isinstance(state, UtilityState) else UtilityState.zeros(0))


_PRICERS: Mapping[str, Callable[[CompiledTariff, Columns, object], tuple[Columns, object]]] = {
    "transit": _transit,
    "medical": _medical,
    "utility": _utility,
}
