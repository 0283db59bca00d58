"""Asks ``tariffs`` for each journey's price and compares it with the amount charged (docs/clearing-rules.md §6).

Tariffs that remember what a card did before are asked in pass 2 (:mod:`clearing.journeys`); settlements and bills,
which post as billed, by :mod:`clearing.recompute` (§9). The only module of clearing that imports ``tariffs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import tariffs
from card_io.records import Service
from clearing import grouping
from clearing.calendar import NO_DAY
from clearing.config import Settings
from clearing.records import Rows
from clearing.status import PriceVerdict
from tariffs import (
    CompiledTariff,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
    Tariff,
    TariffBook,
    TransitJourneys,
    TransitPrices,
    TransitState,
    UtilityPrices,
    UtilityState,
    UtilityUsages,
)

Array = npt.NDArray[Any]


@dataclass
class PriceBook:
    """The tariffs of a centre, compiled on demand, with the numbers that segments store.

    ``ids`` lists tariff ids; a row's ``tariff`` column is 1 + its index there, 0 = none.
    """

    book: TariffBook
    settings: Settings
    ids: list[str] = field(default_factory=list)
    remembering: list[int] = field(default_factory=list)
    """Numbers of the tariffs that remember."""
    _compiled: dict[tuple[str, int], CompiledTariff] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Number the tariffs in the order of their ids, so that equal books give equal numbers."""
        self.ids = sorted(tariff.id for tariff in self.book)
        self.remembering = [n for n, each in enumerate(self.ids, 1) if _remembers(self.book[each])]
        self._funds = np.zeros(2**16, np.int64)
        for participant in self.settings.participants:
            if participant.fund is not None:
                self._funds[participant.fund] = participant.id

    @classmethod
    def load(cls, directory: Path, settings: Settings) -> PriceBook:
        """The price book of the centre in ``directory`` (raises tariffs.TariffFileError)."""
        return cls(tariffs.load_tariff_book(directory / "tariffs"), settings)

    def compiled(self, tariff_id: str, segment: int) -> CompiledTariff:
        """One dated segment of a tariff, compiled once per run."""
        key = (tariff_id, segment)
        if key not in self._compiled:
            self._compiled[key] = tariffs.compile_segment(self.book[tariff_id], segment)
        return self._compiled[key]

    def number(self, tariff_id: str) -> int:
        """What the ``tariff`` column says of a tariff of the book."""
        return self.ids.index(tariff_id) + 1

    def accumulators(self, tariff_id: str) -> tuple[str, ...]:
        """Names of what a tariff that remembers keeps; number n of a :data:`Memory` is the n-th, from 1."""
        return tariffs.accumulator_names(self.book[tariff_id])

    def groups(self, rows: Rows) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """(tariff id, positions) of transit rows with a time, by the tariff of their merchant and mode."""
        day = rows["operating_day"]
        for merchant in grouping.distinct(rows["merchant_id"]):
            participant = next((p for p in self.settings.participants if p.id == merchant), None)
            if participant is None:
                continue
            of_merchant = rows["merchant_id"] == merchant
            for mode, tariff_id in participant.tariff_by_mode.items():
                yield tariff_id, np.flatnonzero(of_merchant & (rows["mode"] == mode) & (day != NO_DAY))

    def dated(self, tariff_id: str, day: Array) -> Iterator[tuple[CompiledTariff, npt.NDArray[np.int64]]]:
        """(segment, positions) of the days some segment of a tariff covers; nothing for a tariff the book lacks."""
        if tariff_id in self.book:
            segment = self.book[tariff_id].segment_of(day.astype(np.int32))
            for each in grouping.distinct(segment[segment >= 0]):
                yield self.compiled(tariff_id, int(each)), np.flatnonzero(segment == each)

    def funds(self, codes: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
        """Participant numbers of a tariff's fund codes."""
        return self._funds[codes]


def _remembers(tariff: Tariff) -> bool:
    return tariff.kind == "transit" and bool(tariffs.accumulator_names(tariff))


def price(rows: Rows, book: PriceBook) -> Rows:
    """Rows with tariff, amounts per payer and price verdict; services without a tariff owe what was charged.

    Of a tariff that remembers, a row alone says only whether it is covered.
    """
    n = len(rows)
    amount = rows["amount"].astype(np.int64)
    columns: dict[str, Array] = {
        "tariff": np.zeros(n, np.uint16),
        "segment": np.zeros(n, np.uint16),
        "rule": np.zeros(n, np.uint16),
        "price_verdict": np.zeros(n, np.uint8),
        "priced": np.ones(n, np.uint8),
        "gross": amount.copy(),
        "card_paid": amount.copy(),
        "overcharge": np.zeros(n, np.int64),
        "fund": np.zeros(n, np.int64),
        "fund_paid": np.zeros(n, np.int64),
        "operator_borne": np.zeros(n, np.int64),
    }
    if rows.service is Service.TRANSIT:
        columns["priced"][:] = 0
        for tariff_id, of_tariff in book.groups(rows):
            for at, answer in _answers(rows, of_tariff, book, tariff_id):
                for name, values in answer.items():
                    columns[name][at] = values
    return rows.with_columns(**columns)


def _answers(
    rows: Rows, of_tariff: npt.NDArray[np.int64], book: PriceBook, tariff_id: str
) -> Iterator[tuple[npt.NDArray[np.int64], Columns]]:
    """(positions, price columns) of the rows of one tariff, as far as each row alone decides."""
    if tariff_id in book.book and book.number(tariff_id) in book.remembering:
        if len(of_tariff):
            yield of_tariff, _coverage(rows, of_tariff, book, tariff_id)
        return
    for compiled, at in book.dated(tariff_id, rows["operating_day"][of_tariff]):
        chosen = of_tariff[at]
        yield chosen, _price_group(rows, chosen, book, tariff_id, compiled.segment)


def _coverage(rows: Rows, at: npt.NDArray[np.int64], book: PriceBook, tariff_id: str) -> Columns:
    chosen = {name: rows[name][at] for name in MEMORY_JOURNEY_COLUMNS}
    _, priced, _ = price_in_order(book, tariff_id, Ordered.alone(chosen), None)
    return {"tariff": np.full(len(at), book.number(tariff_id), np.uint16), "priced": priced.astype(np.uint8)}


def _price_group(rows: Rows, at: npt.NDArray[np.int64], book: PriceBook, tariff_id: str, segment: int) -> Columns:
    compiled = book.compiled(tariff_id, segment)
    everything = len(at) == len(rows)
    chosen = rows.columns if everything else {name: rows[name][at] for name in _JOURNEY_COLUMNS}
    transfer = chosen["transfer_flag"] | chosen["unflagged_transfer"]
    prices = tariffs.price_transit(compiled, _journeys(chosen, transfer))
    charged = chosen["amount"].astype(np.int64)
    return {
        "tariff": np.full(len(at), book.number(tariff_id), np.uint16),
        "priced": prices.priced.astype(np.uint8),
        **_amounts(charged, prices, book),
        "price_verdict": _verdicts(chosen, charged, prices, compiled),
    }


def _amounts(charged: Array, prices: TransitPrices, book: PriceBook) -> Columns:
    """Who pays what of each journey, by which rule, given what the card was charged."""
    card_paid = np.minimum(charged, prices.card_pays)
    return {
        "segment": prices.segment,
        "rule": prices.rule,
        "gross": prices.gross,
        "card_paid": card_paid,
        "overcharge": charged - card_paid,
        "fund": np.where(prices.fund_pays > 0, book.funds(prices.fund), 0),
        "fund_paid": prices.fund_pays,
        "operator_borne": prices.gross - card_paid - prices.fund_pays,
    }


Columns = dict[str, Array]
_JOURNEY_COLUMNS = (
    "mode", "line", "entry_station", "exit_station", "entry_time", "txn_time", "distance_m", "duration_s",
    "register_class", "card_class", "transfer_flag", "unflagged_transfer", "gross_fare", "incomplete", "amount",
)  # fmt: skip


def _journeys(columns: Columns, transfer: Array, **more: Array) -> TransitJourneys:
    return TransitJourneys.of(
        len(transfer),
        mode=columns["mode"],
        line=columns["line"],
        entry_station=columns["entry_station"],
        exit_station=columns["exit_station"],
        entry_time=columns["entry_time"],
        exit_time=columns["txn_time"],
        distance_m=columns["distance_m"],
        duration_s=columns["duration_s"],
        card_class=columns["register_class"],
        transfer=transfer,
        gross_fare=columns["gross_fare"],
        incomplete=columns["incomplete"],
        **more,
    )


def _verdicts(
    columns: Columns, charged: Array, prices: TransitPrices, compiled: CompiledTariff
) -> npt.NDArray[np.uint8]:
    """How charged and computed fare compare; only rows that differ are priced a second time, with a transfer."""
    verdict = _compared(columns, charged, prices)
    maybe = np.flatnonzero((verdict != PriceVerdict.MATCH) & (columns["transfer_flag"] == 0))
    if len(maybe):
        again = {name: columns[name][maybe] for name in _JOURNEY_COLUMNS}
        as_transfer = tariffs.price_transit(compiled, _journeys(again, np.ones(len(maybe), np.uint8)))
        verdict[maybe[as_transfer.card_pays == charged[maybe]]] = PriceVerdict.UNFLAGGED_TRANSFER
    by_sidecar = (columns["unflagged_transfer"] == 1) & (columns["transfer_flag"] == 0)
    verdict[by_sidecar & (verdict == PriceVerdict.MATCH)] = PriceVerdict.UNFLAGGED_TRANSFER
    verdict[~prices.priced] = PriceVerdict.NOT_PRICED
    return verdict


def _compared(columns: Columns, charged: Array, prices: TransitPrices) -> npt.NDArray[np.uint8]:
    """How charged and computed fare compare, transfers aside."""
    verdict = np.full(len(charged), PriceVerdict.MATCH, np.uint8)
    verdict[charged > prices.card_pays] = PriceVerdict.OVERCHARGE
    verdict[charged < prices.card_pays] = PriceVerdict.UNDERCHARGE
    differs = verdict != PriceVerdict.MATCH
    verdict[differs & (columns["card_class"] != columns["register_class"])] = PriceVerdict.CLASS_MISMATCH
    return verdict


Memory = TransitState
"""What the owners of one tariff's journeys carry from batch to batch: rows sorted by ``card`` (the owner)."""

MEMORY_COLUMNS: Final = tuple(TransitState.SPECS)

MEMORY_JOURNEY_COLUMNS: Final = (*(name for name in _JOURNEY_COLUMNS if name != "unflagged_transfer"), "merchant_id")
"""What a tariff that remembers reads of a journey."""

PRICE_COLUMNS: Final = (
    "segment", "rule", "gross", "card_paid", "overcharge", "fund", "fund_paid", "operator_borne", "price_verdict",
)  # fmt: skip
"""What a price says of a row."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Journeys by :data:`MEMORY_JOURNEY_COLUMNS`, whose memory each uses and in which order they count.

    ``owner``, ``sequence`` (order at one time) and ``counted_at`` (seconds, NULL = their own time) are int64[n].
    """

    columns: Columns
    owner: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]
    counted_at: npt.NDArray[np.int64]

    @classmethod
    def alone(cls, columns: Columns) -> Ordered:
        """Each journey as the first one of an owner of its own."""
        n = len(columns["amount"])
        return cls(columns, np.arange(n), np.zeros(n, np.int64), np.full(n, tariffs.NULL, np.int64))


def price_in_order(
    book: PriceBook, tariff_id: str, journeys: Ordered, memory: Memory | None
) -> tuple[Columns, npt.NDArray[np.bool_], Memory]:
    """Price journeys of a tariff that remembers, owner by owner, after what ``memory`` holds (None = nothing).

    Returns:
        :data:`PRICE_COLUMNS`, bool[n] whether the tariff covers the journey, and the memory after them.
    """
    columns = journeys.columns
    listed = _journeys(
        columns,
        columns["transfer_flag"],
        operator=columns["merchant_id"].astype(np.int64),
        card=journeys.owner,
        sequence=journeys.sequence,
        counted_at=journeys.counted_at,
    )
    prices, after = tariffs.price_journeys(book.book[tariff_id], listed, memory)
    charged = columns["amount"].astype(np.int64)
    verdict = _compared(columns, charged, prices)
    verdict[~prices.priced] = PriceVerdict.NOT_PRICED
    return {**_amounts(charged, prices, book), "price_verdict": verdict}, prices.priced, after


def counting(
    book: PriceBook, tariff_id: str, columns: Columns, received_window: Array
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(counts, counted_at) of journeys by the tariff's policy for late receipt; NULL = at their own time."""
    listed = _journeys(columns, columns["transfer_flag"])
    never = np.full(len(listed), tariffs.NEVER, np.int32)
    stands = tariffs.standing(book.book[tariff_id], listed, received_window.astype(np.int32), never)
    return stands.counts, stands.counted_at


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tariff says of n rows: fen by field, int64[n], and the name of the deciding rule.

    Rows that are not ``covered`` (no tariff or no terms for them, an amount missing) have amounts 0 and no rule.
    """

    amounts: Columns
    rule: npt.NDArray[np.object_]
    covered: npt.NDArray[np.bool_]


_MEDICAL_ANSWERS: Final = (
    "medfee_sumamt", "fulamt_ownpay_amt", "preselfpay_amt", "inscp_scp_amt", "act_pay_dedc", "hifp_pay",
    "psn_cash_pay",
)  # fmt: skip
"""Fields a medical tariff computes of a settlement; of those of other payers it knows nothing."""


def settle_visits(book: PriceBook, tariff_id: str, visits: Columns) -> Answer:
    """Settle visits by a medical tariff, each for itself with the counters its person's year had before it.

    Args:
        book: the centre's tariffs.
        tariff_id: a medical tariff.
        visits: int64[n] ``day``, ``year``, ``deductible_consumed`` and ``fund_consumed`` (fen), and under their
            own names the columns of :class:`tariffs.MedicalVisits` from ``insured`` on.

    Raises:
        tariffs.TariffKindError: the tariff is of another kind.
    """

    def settle(compiled: CompiledTariff, day: Array, year: Array, rows: Columns) -> MedicalSettlements:
        each = np.arange(len(day))
        counters = {name: rows.pop(name) for name in ("deductible_consumed", "fund_consumed")}
        listed = MedicalVisits.of(len(day), person=each, sequence=each, settle_day=day, **rows)
        return tariffs.settle_medical(compiled, listed, MedicalState(person=each, year=year, **counters))[0]

    return _answer(book, tariff_id, visits, _MEDICAL_ANSWERS, settle)


def price_usages(book: PriceBook, tariff_id: str, usages: Columns) -> Answer:
    """Price household usage by a utility tariff, each reading for itself after the usage of its year before it.

    Args:
        book: the centre's tariffs.
        tariff_id: a utility tariff.
        usages: int64[n] ``day``, ``year``, ``usage_before``, ``usage_milli`` and ``household``.

    Raises:
        tariffs.TariffKindError: the tariff is of another kind.
    """

    def price_each(compiled: CompiledTariff, day: Array, year: Array, rows: Columns) -> UtilityPrices:
        each = np.arange(len(day))
        before = UtilityState(account=each, year=year, usage_milli=rows.pop("usage_before"))
        listed = UtilityUsages.of(len(day), account=each, sequence=each, period_day=day, **rows)
        return tariffs.price_utility(compiled, listed, before)[0]

    return _answer(book, tariff_id, usages, ("gross",), price_each)


_Ask = Callable[[CompiledTariff, Array, Array, Columns], MedicalSettlements | UtilityPrices]


def _answer(book: PriceBook, tariff_id: str, rows: Columns, fields: tuple[str, ...], ask: _Ask) -> Answer:
    """Answers of all dated segments, put together in the order of the rows."""
    n = len(rows["day"])
    amounts: Columns = {name: np.zeros(n, np.int64) for name in fields}
    rule, covered = np.full(n, "", np.object_), np.zeros(n, np.bool_)
    for compiled, at in book.dated(tariff_id, rows["day"]):
        chosen = {name: column[at] for name, column in rows.items()}
        prices = ask(compiled, chosen.pop("day"), chosen.pop("year"), chosen)
        for name in fields:
            amounts[name][at] = getattr(prices, name)
        rule[at] = np.array(compiled.rule_names, np.object_)[prices.rule]
        covered[at] = prices.priced
    return Answer(amounts, rule, covered)
