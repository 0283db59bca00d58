"""Asks ``tariffs`` for each journey's price and compares it with the amount charged (docs/clearing-rules.md §6).

Tariffs that remember what a card did before are asked in pass 2 (:mod:`clearing.journeys`); settlements and bills,
which post as billed, by :mod:`clearing.recompute` (§9). The only module of clearing that imports ``tariffs``.
"""

from __future__ import annotations

import datetime
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
    FUND_FIELDS,
    CompiledTariff,
    MedicalSettlements,
    MedicalVisits,
    PaidSettlements,
    RowAnswer,
    Tariff,
    TariffBook,
    TransitJourneys,
    TransitPrices,
    TransitState,
    UtilityUsages,
)
from tariffs import StepTaken as StepTaken  # others of clearing name it from here
from tariffs.analyst.messages import Messages
from tariffs.analyst.services import is_money
from tariffs.transit import axes as tariff_axes

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

    def tolerance(self, number: int) -> int:
        """Fen by which an amount of this participant may differ from the tariff and still count as equal."""
        return self.settings.participant(int(number)).price_tolerance

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
        "price_verdict": _verdicts(chosen, charged, prices, compiled, book.tolerance(rows["merchant_id"][at[0]])),
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
    columns: Columns, charged: Array, prices: TransitPrices, compiled: CompiledTariff, tolerance: int
) -> npt.NDArray[np.uint8]:
    """How charged and computed fare compare; only rows that differ are priced a second time, with a transfer.

    ``tolerance`` (fen) is for the verdict alone: amounts per payer stay exact.
    """
    verdict = _compared(columns, charged, prices, tolerance)
    maybe = np.flatnonzero((verdict != PriceVerdict.MATCH) & (columns["transfer_flag"] == 0))
    if len(maybe):
        again = {name: columns[name][maybe] for name in _JOURNEY_COLUMNS}
        as_transfer = tariffs.price_transit(compiled, _journeys(again, np.ones(len(maybe), np.uint8)))
        equal = np.abs(as_transfer.card_pays - charged[maybe]) <= tolerance
        verdict[maybe[equal]] = PriceVerdict.UNFLAGGED_TRANSFER
    by_sidecar = (columns["unflagged_transfer"] == 1) & (columns["transfer_flag"] == 0)
    verdict[by_sidecar & (verdict == PriceVerdict.MATCH)] = PriceVerdict.UNFLAGGED_TRANSFER
    verdict[~prices.priced] = PriceVerdict.NOT_PRICED
    return verdict


def _compared(
    columns: Columns, charged: Array, prices: TransitPrices, tolerance: int | npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """How charged and computed fare compare, transfers aside; ``tolerance`` in fen, of all rows or of each."""
    verdict = np.full(len(charged), PriceVerdict.MATCH, np.uint8)
    verdict[charged > prices.card_pays + tolerance] = PriceVerdict.OVERCHARGE
    verdict[charged < prices.card_pays - tolerance] = PriceVerdict.UNDERCHARGE
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
    listed = _in_order(journeys)
    prices, after = tariffs.price_journeys(book.book[tariff_id], listed, memory)
    charged = columns["amount"].astype(np.int64)
    merchants, of_merchant = grouping.dense(columns["merchant_id"])
    tolerance = np.array([book.tolerance(number) for number in merchants], np.int64)[of_merchant]
    verdict = _compared(columns, charged, prices, tolerance)
    verdict[~prices.priced] = PriceVerdict.NOT_PRICED
    return {**_amounts(charged, prices, book), "price_verdict": verdict}, prices.priced, after


def _in_order(journeys: Ordered) -> TransitJourneys:
    columns = journeys.columns
    return _journeys(
        columns,
        columns["transfer_flag"],
        operator=columns["merchant_id"].astype(np.int64),
        card=journeys.owner,
        sequence=journeys.sequence,
        counted_at=journeys.counted_at,
    )


def counting(
    book: PriceBook, tariff_id: str, columns: Columns, received_window: Array
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """(counts, counted_at) of journeys by the tariff's policy for late receipt; NULL = at their own time."""
    listed = _journeys(columns, columns["transfer_flag"])
    never = np.full(len(listed), tariffs.NEVER, np.int32)
    stands = tariffs.standing(book.book[tariff_id], listed, received_window.astype(np.int32), never)
    return stands.counts, stands.counted_at


def segments_from(book: PriceBook, tariff_id: str, day: datetime.date) -> list[CompiledTariff]:
    """The dated segments of a tariff that are valid on ``day`` or later, in order."""
    compiled = [book.compiled(tariff_id, at) for at in range(len(book.book[tariff_id].segments))]
    return [each for each in compiled if each.last_day >= day]


Axes = tariff_axes.Axes
NoTableError = tariff_axes.NoTableError


def axes_of(book: PriceBook, compiled: CompiledTariff) -> Axes:
    """What a segment's price depends on (raises :class:`NoTableError`)."""
    return tariff_axes.axes_of(book.book[compiled.tariff_id], compiled.segment)


def cell_prices(compiled: CompiledTariff, n: int, **journeys: Array) -> tuple[Array, Array, Array]:
    """(gross fen, fen the card pays, priced) of n journeys by the names of :class:`tariffs.TransitJourneys`."""
    prices = tariffs.price_transit(compiled, TransitJourneys.of(n, **journeys))
    return prices.gross, prices.card_pays, prices.priced


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


def column_names(column: str) -> tuple[str, str]:
    """Chinese and English name of an amount that a step of a tariff changed, as analysts see it."""
    chinese, english = (Messages(language).name("columns", column) for language in ("zh", "en"))
    return chinese, english


def counts_fen(column: str) -> bool:
    """Whether an amount of a tariff's answer is money."""
    return is_money(column)


def trace_journey(book: PriceBook, row: Rows) -> tuple[StepTaken, ...]:
    """How the tariff of its merchant prices one journey, step by step; empty for a row that is no priced journey."""
    if row.service is not Service.TRANSIT:
        return ()
    for tariff_id, of_tariff in book.groups(row):
        for compiled, _ in book.dated(tariff_id, row["operating_day"][of_tariff]):
            return _trace_alone(book.book[tariff_id], compiled.segment, row)
    return ()


def _trace_alone(tariff: Tariff, segment: int, row: Rows) -> tuple[StepTaken, ...]:
    journey = _journeys(row.columns, row["transfer_flag"] | row["unflagged_transfer"])
    return _trace(tariff, segment, lambda shorter: tariffs.price_transit(shorter.compiled[segment], journey))


def trace_last(book: PriceBook, tariff_id: str, segment: int, journeys: Ordered) -> tuple[StepTaken, ...]:
    """How a tariff that remembers prices the last of an owner's counting journeys after those before it."""
    listed = _in_order(journeys)
    return _trace(book.book[tariff_id], segment, lambda shorter: tariffs.price_journeys(shorter, listed)[0])


def _trace(tariff: Tariff, segment: int, price: Callable[[Tariff], TransitPrices]) -> tuple[StepTaken, ...]:
    """The last of the journeys that ``price`` prices, by the tariff up to each of its steps."""

    def price_last(shorter: Tariff) -> RowAnswer:
        prices = price(shorter)
        amounts = {name: int(getattr(prices, name)[-1]) for name in _FARES_TOLD}
        rule = shorter.compiled[segment].rule_names[int(prices.rule[-1])]
        return RowAnswer(amounts, rule, bool(prices.priced[-1]))

    return tariffs.trace_steps(tariff, segment, price_last)


_FARES_TOLD: Final = ("gross", "card_pays", "fund_pays", "operator_bears")


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
