"""Price journeys: column by column in chunks that stay in cache, then card by card where a tariff remembers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.compiler import CompiledTariff, TransitProgram
from tariffs.errors import TariffStateError
from tariffs.schema import WEEKDAYS
from tariffs.tariff import Tariff
from tariffs.transit import kernels
from tariffs.transit.accumulators import accumulator_of
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.state import TransitState, close_memory, open_memory, order_by_card, refuse_past

CHUNK_ROWS = 8_192
"""Rows per chunk: the two dozen columns in work fit the second-level cache."""

BLOCK_ROWS = 32_768
"""Rows per block of cards; a card is never cut."""

COUNTED_FARE_MAX = 30_000_000
"""Largest full fare (fen) that accumulators count; beyond it a row is not covered.

It keeps fare × fare × ratio inside int64.
"""

_DAY_S = 86_400
_TIME_MAX = 2**37
"""Seconds; beyond it (the year 6325) a time is absurd."""


def price_transit(compiled: CompiledTariff, journeys: TransitJourneys) -> TransitPrices:
    """Amounts per payer, deciding rule and segment of each journey, in the order of ``journeys``.

    Pure: every row depends on itself alone, so any split or order of the rows gives the same answers.
    Rows the tariff does not cover come back with ``priced`` false and zero amounts.
    Raises TariffKindError when the tariff is not a transit tariff, TariffStateError when it remembers what a
    card did before.
    """
    program = compiled.transit_program()
    if program.accumulators:
        raise TariffStateError(compiled.tariff_id)
    prices = TransitPrices.zeros(len(journeys))
    prices.segment[:] = compiled.segment
    for first in range(0, len(journeys), CHUNK_ROWS):
        chunk = Chunk.over(journeys, prices, slice(first, first + CHUNK_ROWS))
        _reduce(program, chunk)
        _close(chunk)
    return prices


def price_journeys(
    tariff: Tariff, journeys: TransitJourneys, state: TransitState | None = None, *, threads: int = 1
) -> tuple[TransitPrices, TransitState]:
    """Prices of journeys of any published day, and what the cards carry on; ``state`` is not changed.

    Each row is priced by the segment of its operating day (``tariff.clock``) and, where that segment has
    accumulating steps, counted in the order of (card, time, sequence), time being ``counted_at``, else entry,
    else exit. The order of arrival does not matter. Not priced are rows without a time or outside the
    published days and, under accumulating steps, rows with a full fare above :data:`COUNTED_FARE_MAX`.

    Raises TariffKindError for another kind of tariff, ValueError when a card has a journey earlier than its
    ``state``: reprice it from an earlier snapshot.
    """
    programs = [compiled.transit_program() for compiled in tariff.compiled]
    opening = TransitState.zeros(0) if state is None else state
    time, day = _when(tariff, journeys)
    segment = tariff.segment_of(day.astype(np.int32))
    segment[time == NULL] = -1
    prices = TransitPrices.zeros(len(journeys))
    rows_of = np.bincount(segment + 1, minlength=len(programs) + 1)[1:]
    present = [int(index) for index in np.flatnonzero(rows_of)]
    scratch = Scratch.of(len(journeys)) if any(programs[index].accumulators for index in present) else None
    for index in present:
        rows = None if rows_of[index] == len(journeys) else np.flatnonzero(segment == index)
        _price_segment(programs[index], index, journeys, rows, prices, scratch, time)
    if scratch is None:
        return prices, opening
    after = _walk(tariff, programs, journeys, opening, scratch, time, threads)
    for index in present:
        if programs[index].accumulators:
            rows = None if rows_of[index] == len(journeys) else np.flatnonzero(segment == index)
            _settle(programs[index], journeys, rows, prices, scratch)
    return prices, after


@dataclass(frozen=True)
class Scratch:
    """What the columns of a chunk leave for the walk and the steps behind it: ``facts`` (rows, FACTS)."""

    conceded: Ints
    facts: Ints

    @classmethod
    def of(cls, rows: int) -> Self:
        """Nothing marked yet of ``rows`` rows."""
        return cls(np.zeros(rows, np.int64), np.zeros((rows, kernels.FACTS), np.int64))


def accumulator_names(tariff: Tariff) -> tuple[str, ...]:
    """Names of the accumulators of a transit tariff in the order of their first appearance."""
    names: dict[str, None] = {}
    for compiled in tariff.compiled:
        names |= {accumulator_of(step).name: None for step in compiled.transit_program().accumulators}
    return tuple(names)


def operating_day(tariff: Tariff, journeys: TransitJourneys) -> Ints:
    """Day (since 1970, int64) to which the tariff's clock puts each journey; 0 for one without a sound time."""
    return _when(tariff, journeys)[1]


def _when(tariff: Tariff, journeys: TransitJourneys) -> tuple[Ints, Ints]:
    """When each journey counts (local seconds, NULL = never) and its operating day, by the tariff's clock.

    A late row carried forward counts later, but its operating day stays its own.
    """
    own = np.where(journeys.entry_time == NULL, journeys.exit_time, journeys.entry_time)
    counted = np.where(journeys.counted_at == NULL, own, journeys.counted_at)
    absurd = (np.abs(own) > _TIME_MAX) | (np.abs(counted) > _TIME_MAX) | (own == NULL) | (counted == NULL)
    counted[absurd] = NULL
    own[absurd] = tariff.clock.day_starts_s
    return counted, (own - tariff.clock.day_starts_s) // _DAY_S


def _chunks(length: int, rows: Ints | None) -> Iterator[slice | Ints]:
    """``rows`` (None = all ``length`` rows, as slices) in chunks."""
    for first in range(0, length if rows is None else len(rows), CHUNK_ROWS):
        within = slice(first, first + CHUNK_ROWS)
        yield within if rows is None else rows[within]


def _price_segment(
    program: TransitProgram,
    segment: int,
    journeys: TransitJourneys,
    rows: Ints | None,
    prices: TransitPrices,
    scratch: Scratch | None,
    time: Ints,
) -> None:
    """Price ``rows`` (None = all) of one segment as far as each row alone decides."""
    for at in _chunks(len(journeys), rows):
        answer = prices.take(at)
        answer.segment[:] = segment
        chunk = Chunk.over(journeys.take(at), answer, slice(None))
        _reduce(program, chunk)
        if program.accumulators and scratch is not None:
            np.logical_and(chunk.priced, chunk.gross <= COUNTED_FARE_MAX, out=chunk.priced)
            for operation in program.accumulators:
                operation.apply(chunk)
            np.multiply(chunk.marks, chunk.priced, out=chunk.marks)
            scratch.conceded[at] = chunk.conceded
            scratch.facts[at] = _facts(chunk, segment, time[at])
        else:
            _close(chunk)
        _write_back(prices, at, answer)


def _write_back(prices: TransitPrices, at: slice | Ints, answer: TransitPrices) -> None:
    """Put the answers of a chunk into their rows; those of a slice are views and stand there already."""
    if not isinstance(at, slice):
        for name in TransitPrices.SPECS:
            getattr(prices, name)[at] = getattr(answer, name)


def _facts(chunk: Chunk, segment: int, time: Ints) -> Ints:
    """What the walk reads of a chunk, shape (rows, FACTS)."""
    journeys = chunk.journeys
    entry = np.where(journeys.entry_time == NULL, journeys.exit_time, journeys.entry_time)
    exit_ = np.where(journeys.exit_time == NULL, journeys.entry_time, journeys.exit_time)
    carried: Bools = journeys.counted_at != NULL
    facts = np.empty((len(time), kernels.FACTS), np.int64)
    facts[:, kernels.TIME] = time
    # A bus leg has one tap, which is both its ends; a leg carried forward lies where it is counted.
    facts[:, kernels.ENTRY] = np.where(carried, time, entry)
    facts[:, kernels.EXIT] = np.where(carried, time, exit_)
    facts[:, kernels.SEGMENT] = segment
    facts[:, kernels.MARKS] = chunk.marks
    facts[:, kernels.WHO] = chunk.card_class
    facts[:, kernels.LINE] = journeys.line
    facts[:, kernels.MODE] = journeys.mode
    facts[:, kernels.LOW] = chunk.zone_low
    facts[:, kernels.HIGH] = chunk.zone_high
    facts[:, kernels.GROSS_FARE] = chunk.gross
    facts[:, kernels.FARE] = chunk.fare
    facts[:, kernels.DECIDED_BY] = chunk.rule
    return facts


def _settle(
    program: TransitProgram, journeys: TransitJourneys, rows: Ints | None, prices: TransitPrices, scratch: Scratch
) -> None:
    """What the card pays after the walk, and the steps behind it: who bears the rest."""
    for at in _chunks(len(journeys), rows):
        answer = prices.take(at)
        answer.card_pays[:] = scratch.facts[at, kernels.FARE]
        answer.rule[:] = scratch.facts[at, kernels.DECIDED_BY]
        chunk = replace(Chunk.over(journeys.take(at), answer, slice(None)), conceded=scratch.conceded[at])
        for operation in program.closing:
            operation.apply(chunk)
        _close(chunk)
        _write_back(prices, at, answer)


def _walk(
    tariff: Tariff,
    programs: list[TransitProgram],
    journeys: TransitJourneys,
    state: TransitState,
    scratch: Scratch,
    time: Ints,
    threads: int,
) -> TransitState:
    """Count the marked rows of each card in their order; changes fares and rules in ``scratch.facts``."""
    names = accumulator_names(tariff)
    parameters, table = _stack(programs, names)
    contents = tuple(getattr(journeys, name) for name in journeys.SPECS)
    marked = np.flatnonzero(scratch.facts[:, kernels.MARKS])
    order = order_by_card(marked, journeys.card, time, journeys.sequence, contents)
    refuse_past(state, order, time, journeys.sequence)
    memory = open_memory(state, order.cards, len(names))
    clock, firsts = _calendar(tariff, time[marked])
    # Blocks that stay in cache, gathered into order: the walk would otherwise wait for memory at every row.
    cuts = np.searchsorted(order.begins, np.arange(0, len(order.rows), BLOCK_ROWS))
    cuts = np.unique(np.append(cuts, len(order.cards)))

    def walk(first: int, last: int) -> None:
        begins = order.begins[first : last + 1]
        rows = order.rows[begins[0] : begins[-1]]
        facts = scratch.facts.take(rows, axis=0)
        kernels.walk_cards(begins - begins[0], parameters, table, clock, firsts, facts, memory[first:last])
        for column in (kernels.FARE, kernels.DECIDED_BY):
            scratch.facts[rows, column] = facts[:, column]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(walk, cuts[:-1].tolist(), cuts[1:].tolist()))
    return close_memory(state, order, memory, time, journeys.sequence)


def _calendar(tariff: Tariff, time: Ints) -> tuple[Ints, Ints]:
    """The kernel's ``clock`` and ``firsts`` for journeys counted at ``time`` (s)."""
    clock = tariff.clock
    days = (time - clock.day_starts_s) // _DAY_S
    first, last = (int(days.min()), int(days.max())) if len(days) else (0, -1)
    dates = np.arange(first, last + 1).astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    year = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    numbers = np.array([clock.day_starts_s, WEEKDAYS.index(clock.week_starts), first], np.int64)
    return numbers, np.column_stack([month, year])


def _stack(programs: list[TransitProgram], names: tuple[str, ...]) -> tuple[Ints, Ints]:
    """Parameters of all segments, shape (segments, steps, PARAMETERS), and their tables end to end."""
    depth = max(len(program.accumulators) for program in programs)
    parameters = np.zeros((len(programs), depth, kernels.PARAMETERS), np.int64)
    tables: list[Ints] = []
    length = 0
    for index, program in enumerate(programs):
        for step in map(accumulator_of, program.accumulators):
            row = parameters[index, step.position]
            for column, value in step.parameters:
                row[column] = value
            row[kernels.SLOT] = names.index(step.name)
            row[kernels.TABLE] = length
            tables.append(step.table)
            length += len(step.table)
    return parameters, np.concatenate([*tables, np.zeros(1, np.int64)])


def _reduce(program: TransitProgram, chunk: Chunk) -> None:
    """The full fare and what the card pays of it, as far as the row alone decides."""
    for operation in program.full_fare:
        operation.apply(chunk)
    chunk.charge_gross()
    for operation in program.reductions:
        operation.apply(chunk)


def _close(chunk: Chunk) -> None:
    """The operator bears what neither card nor funds pay; rows without a price carry no amounts."""
    np.subtract(chunk.gross, chunk.fare, out=chunk.operator_bears)
    np.subtract(chunk.operator_bears, chunk.fund_pays, out=chunk.operator_bears)
    if chunk.priced.all():
        return
    for column in (chunk.gross, chunk.fare, chunk.fund_pays, chunk.operator_bears, chunk.fund, chunk.rule):
        np.multiply(column, chunk.priced, out=column)
