"""What tariffs say of settlements and bills that post as billed: compared, no money moved (clearing-rules §9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

import tariffs
from card_io.records import Columns
from clearing import grouping
from clearing.pricing.book import Array, PriceBook
from tariffs import (
    FUND_FIELDS,
    MedicalSettlements,
    MedicalVisits,
    PaidSettlements,
    RowAnswer,
    StepTaken,
    Tariff,
    UtilityUsages,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tariff says of n rows in its own words: int64[n] by column, 0 where a row is not ``priced``.

    ``rule`` names the deciding rule, ``segment`` is the dated segment (−1 = outside the published days), ``sound`` is
    False where what the row's owner had before it is not known.
    """

    amounts: Columns
    rule: npt.NDArray[np.object_]
    segment: npt.NDArray[np.int64]
    priced: npt.NDArray[np.bool_]
    sound: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one dated segment of a tariff asks of a row, and which interface fields of payers it decides."""

    columns: frozenset[str]
    payers: frozenset[str]
    buys_usage: bool


def asked_by(book: PriceBook, tariff_id: str) -> list[Asked]:
    """For each dated segment of a medical or utility tariff."""
    return [
        Asked(
            tariffs.columns_needed(segment),
            frozenset(tariffs.payer_fields(segment)) if book.book[tariff_id].kind == "medical" else frozenset(),
            tariffs.buys_usage(segment),
        )
        for segment in book.book[tariff_id].segments
    ]


def segments_of(book: PriceBook, tariff_id: str, day: Array) -> npt.NDArray[np.int64]:
    """int64[n] dated segment of each day, −1 outside the published days."""
    return book.book[tariff_id].segment_of(day.astype(np.int32))


def months_back(book: PriceBook) -> int:
    """Months before that of a row which some tariff of the centre may look at."""
    return max((tariffs.months_back(tariff.segments) for tariff in book.book), default=0)


def resettle(book: PriceBook, tariff_id: str, visits: Columns, paid: Columns, readable: Array) -> Answer:
    """Settle persons' visits again by a medical tariff, each on the counters that the payments before it left.

    Args:
        book: the centre's tariffs.
        tariff_id: a medical tariff.
        visits: int64[n] columns of :class:`tariffs.MedicalVisits` by name.
        paid: int64[n] ``deductible`` and ``scope``, and the fund fields by name, fen as settled.
        readable: bool[n], visits that lack nothing the tariff reads.

    Raises:
        tariffs.TariffKindError: the tariff is of another kind.
    """
    tariff = book.book[tariff_id]
    done = tariffs.resettle(tariff, _visits(visits), _paid(paid), readable)
    names = [name for name, spec in MedicalSettlements.SPECS.items() if spec.dtype is np.int64]
    return Answer(
        amounts={name: getattr(done.settlements, name) for name in names},
        rule=_rule_names(tariff, done.segment, done.settlements.rule),
        segment=done.segment,
        priced=done.settlements.priced,
        sound=done.sound,
    )


def rebill(book: PriceBook, tariff_id: str, usages: Columns, readable: Array) -> Answer:
    """Price readings again by a utility tariff, each after what its account was billed before it.

    Args:
        book: the centre's tariffs.
        tariff_id: a utility tariff.
        usages: int64[n] columns of :class:`tariffs.UtilityUsages` by name.
        readable: bool[n], readings that lack nothing the tariff reads.

    Raises:
        tariffs.TariffKindError: the tariff is of another kind.
    """
    done = tariffs.rebill(book.book[tariff_id], _usages(usages), readable)
    amounts = {"gross": done.gross, "usage_milli": done.usage_milli}
    return Answer(amounts, done.rule, done.segment, done.priced, done.sound)


def trace_visit(
    book: PriceBook, tariff_id: str, visits: Columns, paid: Columns, readable: Array, row: int
) -> tuple[StepTaken, ...]:
    """How the tariff settles one visit, step by step; arguments as in :func:`resettle`."""
    tariff, listed = book.book[tariff_id], _visits(visits)
    done = tariffs.resettle(tariff, listed, _paid(paid), readable, stop_at=row)
    assert done.before is not None, "the visit is among the rows"
    ledger, one, segment = done.before, listed.take(np.array([row])), int(done.segment[row])

    def settle(shorter: Tariff) -> RowAnswer:
        compiled = shorter.compiled[segment]
        settled = tariffs.settle_visits(compiled, one, ledger).settlements
        amounts = {name: int(getattr(settled, name)[0]) for name in _AMOUNTS_TOLD}
        return RowAnswer(amounts, compiled.rule_names[int(settled.rule[0])], bool(settled.priced[0]))

    return tariffs.trace_steps(tariff, segment, settle)


_AMOUNTS_TOLD: Final = tuple(
    name for name, spec in MedicalSettlements.SPECS.items() if spec.dtype is np.int64 and name != "payer_region"
)


def trace_bill(
    book: PriceBook, tariff_id: str, usages: Columns, readable: Array, rows: npt.NDArray[np.int64]
) -> tuple[StepTaken, ...]:
    """How the tariff prices one bill, the readings at ``rows``, step by step; arguments as in :func:`rebill`."""
    tariff, listed = book.book[tariff_id], _usages(usages)
    done = tariffs.rebill(tariff, listed, readable, stop_at=rows)
    assert done.before is not None, "the bill is among the rows"
    state, bill, segment = done.before, listed.take(rows), int(done.segment[rows[0]])

    def price_bill(shorter: Tariff) -> RowAnswer:
        compiled = shorter.compiled[segment]
        prices, _ = tariffs.price_utility(compiled, bill, state)
        amounts = {"usage_milli": int(prices.usage_milli.sum()), "gross": int(prices.gross.sum())}
        parts = zip(compiled.component_names, prices.components.sum(axis=0).tolist(), strict=True)
        amounts |= {name: fen for name, fen in parts if name != "gross"}
        return RowAnswer(amounts, compiled.rule_names[int(prices.rule[-1])], bool(prices.priced.all()))

    return tariffs.trace_steps(tariff, segment, price_bill)


def _visits(columns: Columns) -> MedicalVisits:
    return MedicalVisits.of(len(columns["person"]), **columns)


def _paid(columns: Columns) -> PaidSettlements:
    funds = np.stack([columns[name] for name in FUND_FIELDS], axis=1)
    return PaidSettlements(columns["deductible"], columns["scope"], funds)


def _usages(columns: Columns) -> UtilityUsages:
    return UtilityUsages.of(len(columns["account"]), **columns)


def _rule_names(tariff: Tariff, segment: Array, rule: Array) -> npt.NDArray[np.object_]:
    names = np.full(len(rule), "", np.object_)
    for index in grouping.distinct(segment[segment >= 0]):
        at = segment == index
        names[at] = np.array(tariff.compiled[int(index)].rule_names, np.object_)[rule[at]]
    return names
