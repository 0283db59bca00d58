"""What a journey costs by the tariff of its merchant, against what was charged (docs/clearing-rules.md §6).

Row by row in pass 1; those of tariffs that remember what a card did before, owner by owner in pass 2
(:mod:`clearing.journeys`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

import tariffs
from card_io.records import Columns, Service
from clearing import grouping
from clearing.pricing.book import Array, PriceBook
from clearing.records import Rows
from clearing.status import PriceVerdict
from tariffs import CompiledTariff, RowAnswer, StepTaken, Tariff, TransitJourneys, TransitPrices, TransitState


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
                    if len(at) == n:
                        columns[name] = values.astype(columns[name].dtype, copy=False)
                    else:
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
    chosen = {name: rows[name].take(at) for name in MEMORY_JOURNEY_COLUMNS}
    _, priced, _ = price_in_order(book, tariff_id, Ordered.alone(chosen), None)
    return {"tariff": np.full(len(at), book.number(tariff_id), np.uint16), "priced": priced.astype(np.uint8)}


def _price_group(rows: Rows, at: npt.NDArray[np.int64], book: PriceBook, tariff_id: str, segment: int) -> Columns:
    compiled = book.compiled(tariff_id, segment)
    everything = len(at) == len(rows)
    chosen = rows.columns if everything else {name: rows[name].take(at) for name in _JOURNEY_COLUMNS}
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
