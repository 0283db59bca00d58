"""Price journeys: column by column in chunks that stay in cache, then card by card where a tariff remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from tariffs.columns import Codes, Days, Ints
from tariffs.compiler import CompiledTariff, TransitProgram
from tariffs.errors import TariffError, TariffStateError
from tariffs.tariff import Tariff
from tariffs.transit.accumulators import accumulator_of, refuse_renamed
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import JourneysPart, TransitJourneys, TransitPrices
from tariffs.transit.kernels import rows as kernels
from tariffs.transit.kernels import walk
from tariffs.transit.memory import Dated, Memory, walk_journeys
from tariffs.transit.state import TransitState
from tariffs.transit.workers import Workers

CHUNK_ROWS = 8_192
"""Rows per chunk: the dozen columns in work fit the second-level cache."""

TASK_CHUNKS = 8
"""Chunks a thread takes at a time."""

COUNTED_FARE_MAX = 30_000_000
"""Largest full fare (fen) that accumulators count; beyond it a row is not covered.

It keeps fare × fare × ratio inside int64.
"""

_EPOCH = date(1970, 1, 1).toordinal()

Rows = slice | Ints


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
    for rows in _chunks(len(journeys)):
        chunk = Chunk.over(journeys, prices.take(rows), rows)
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
    return price_network([tariff], None, journeys, state, threads=threads)


def price_network(
    tariffs: Sequence[Tariff],
    of_row: Codes | None,
    journeys: TransitJourneys,
    state: TransitState | None = None,
    *,
    threads: int = 1,
) -> tuple[TransitPrices, TransitState]:
    """As :func:`price_journeys` for rows of several tariffs that share memory: a ride free after that of another.

    ``of_row`` (uint16) is the position of each row's tariff in ``tariffs``; None = all rows are of the first.
    Accumulators declared ``shared`` are one memory wherever they stand under one name; all others belong to
    their tariff. ``segment`` and ``rule`` of an answer are those of the row's own tariff. The state fits the same
    tariffs in the same order only (:func:`network_accumulators`).

    Raises TariffError when the tariffs do not have one clock, ParameterError when a shared name holds one thing
    in one tariff and another in the next.
    """
    if len({tariff.clock for tariff in tariffs}) != 1:
        raise TariffError(f"{', '.join(t.id for t in tariffs)} are priced together and need one clock")
    if len(tariffs) > 1:
        programs = [compiled.transit_program() for tariff in tariffs for compiled in tariff.compiled]
        shared = [[step for step in p.accumulators if accumulator_of(step).shared] for p in programs]
        refuse_renamed(shared)
    opening = TransitState.zeros(0) if state is None else state
    network = _Network.of(tariffs)
    dated = _date(tariffs, of_row, journeys)
    prices = TransitPrices.zeros(len(journeys))
    tasks = list(_tasks(network, of_row, dated))
    remembers = any(network.programs[task.program].accumulators for task in tasks)
    memory = Memory.of(len(journeys)) if remembers else None
    with Workers(threads) as workers:
        workers.run(lambda task: _price(network, task, journeys, prices, dated, memory), tasks)
        if memory is None:
            return prices, opening
        after = walk_journeys(network.memory, journeys, opening, dated, memory, workers)
        workers.run(lambda task: _settle(network, task, journeys, prices, memory), tasks)
    return prices, after


def accumulator_names(tariff: Tariff) -> tuple[str, ...]:
    """Names of the accumulators of a transit tariff in the order of their first appearance."""
    return network_accumulators([tariff])


def network_accumulators(tariffs: Sequence[Tariff]) -> tuple[str, ...]:
    """Names of the memories of tariffs that are priced together, in the order of their first appearance.

    A memory that is not shared goes by ``tariff id: name`` where there is more than one tariff.
    """
    names: dict[str, None] = {}
    for tariff in tariffs:
        for compiled in tariff.compiled:
            for step in map(accumulator_of, compiled.transit_program().accumulators):
                names |= dict.fromkeys(_slots(tariffs, tariff, step.name, step.shared, step.slots))
    return tuple(names)


def operating_day(tariff: Tariff, journeys: TransitJourneys) -> Days:
    """Day (since 1970, int32) to which the tariff's clock puts each journey; 0 for one without a sound time."""
    return _date([tariff], None, journeys).day


def _slots(tariffs: Sequence[Tariff], tariff: Tariff, name: str, shared: bool, slots: int) -> list[str]:
    own = name if shared or len(tariffs) == 1 else f"{tariff.id}: {name}"
    return [own] if slots == 1 else [f"{own}[{k}]" for k in range(slots)]


@dataclass(frozen=True)
class _Network:
    """Every dated segment of every tariff as one list of programs."""

    programs: tuple[TransitProgram, ...]
    segments: tuple[int, ...]
    """Segment of each program in its own tariff."""
    first: tuple[int, ...]
    """First program of each tariff."""
    memory: Dated

    @classmethod
    def of(cls, tariffs: Sequence[Tariff]) -> _Network:
        """Programs in the order of the tariffs and their segments."""
        programs: list[TransitProgram] = []
        segments: list[int] = []
        first: list[int] = []
        owners: list[Tariff] = []
        for tariff in tariffs:
            first.append(len(programs))
            programs += [compiled.transit_program() for compiled in tariff.compiled]
            segments += range(len(tariff.compiled))
            owners += [tariff] * len(tariff.compiled)
        names = network_accumulators(tariffs)
        position = {name: slot for slot, name in enumerate(names)}
        depth = max(len(program.accumulators) for program in programs)
        parameters = np.zeros((len(programs), depth, walk.PARAMETERS), np.int64)
        tables: list[Ints] = []
        length = 0
        for index, (program, owner) in enumerate(zip(programs, owners, strict=True)):
            for step in map(accumulator_of, program.accumulators):
                row = parameters[index, step.position]
                for column, value in step.parameters:
                    row[column] = value
                row[walk.SLOT] = position[_slots(tariffs, owner, step.name, step.shared, step.slots)[0]]
                row[walk.TABLE] = length
                tables.append(step.table)
                length += len(step.table)
        table = np.concatenate([*tables, np.zeros(1, np.int64)])
        return cls(
            tuple(programs),
            tuple(segments),
            tuple(first),
            Dated(tariffs[0].clock, parameters, table, len(names)),
        )


@dataclass(frozen=True)
class _Dates:
    """When each row counts (int64, NULL = never), its operating day (int32) and segment (int16, −1 = none)."""

    time: Ints
    day: Days
    segment: npt.NDArray[np.int16]


def _date(tariffs: Sequence[Tariff], of_row: Codes | None, journeys: TransitJourneys) -> _Dates:
    length = len(journeys)
    whole = _Dates(np.empty(length, np.int64), np.empty(length, np.int32), np.empty(length, np.int16))
    for index, tariff in enumerate(tariffs):
        rows: Rows = slice(None) if of_row is None else np.flatnonzero(of_row == index)
        part = JourneysPart(journeys, rows)
        firsts = np.array([segment.first.toordinal() - _EPOCH for segment in tariff.segments], np.int64)
        own = whole if of_row is None else _Dates(whole.time[rows], whole.day[rows], whole.segment[rows])
        kernels.date_rows(
            part.entry_time,
            part.exit_time,
            part.counted_at,
            tariff.clock.day_starts_s,
            firsts,
            tariff.last_day.toordinal() - _EPOCH,
            own.time,
            own.day,
            own.segment,
        )
        if of_row is None:
            break
        whole.time[rows], whole.day[rows], whole.segment[rows] = own.time, own.day, own.segment
    return whole


@dataclass(frozen=True)
class _Task:
    """Rows of one program for one thread: a slice of all rows, or an index array where several programs mix."""

    program: int
    rows: Rows
    length: int

    def chunks(self) -> Iterator[Rows]:
        """The rows in chunks."""
        for within in _chunks(self.length):
            if isinstance(self.rows, slice):
                yield slice(self.rows.start + within.start, self.rows.start + within.stop)
            else:
                yield self.rows[within]


def _tasks(network: _Network, of_row: Codes | None, dated: _Dates) -> Iterator[_Task]:
    """Every row with a segment, once."""
    programs = dated.segment.astype(np.int64)
    if of_row is not None:
        programs = np.where(programs >= 0, programs + np.array(network.first, np.int64)[of_row], -1)
    counts = np.bincount(programs + 1, minlength=len(network.programs) + 1)[1:]
    size = CHUNK_ROWS * TASK_CHUNKS
    for program in np.flatnonzero(counts).tolist():
        whole = counts[program] == len(programs)
        rows = None if whole else np.flatnonzero(programs == program)
        for start in range(0, int(counts[program]), size):
            stop = min(start + size, int(counts[program]))
            yield _Task(program, slice(start, stop) if rows is None else rows[start:stop], stop - start)


def _chunks(length: int) -> Iterator[slice]:
    for first in range(0, length, CHUNK_ROWS):
        yield slice(first, min(first + CHUNK_ROWS, length))


def _price(
    network: _Network,
    task: _Task,
    journeys: TransitJourneys,
    prices: TransitPrices,
    dated: _Dates,
    memory: Memory | None,
) -> None:
    """Price a task's rows as far as each row alone decides."""
    program = network.programs[task.program]
    for at in task.chunks():
        answer = prices.take(at)
        answer.segment[:] = network.segments[task.program]
        chunk = Chunk.over(journeys, answer, at)
        _reduce(program, chunk)
        if program.accumulators and memory is not None:
            np.logical_and(chunk.priced, chunk.gross <= COUNTED_FARE_MAX, out=chunk.priced)
            for operation in program.accumulators:
                operation.apply(chunk)
            memory.note(at, chunk, dated.time[at], task.program)
        else:
            _close(chunk)
        _write_back(prices, at, answer)


def _settle(network: _Network, task: _Task, journeys: TransitJourneys, prices: TransitPrices, memory: Memory) -> None:
    """After the walk: who bears what the card does not pay."""
    program = network.programs[task.program]
    if not program.accumulators:
        return
    for at in task.chunks():
        answer = prices.take(at)
        kernels.take_outcome(memory.outcome[at], answer.card_pays, answer.rule)
        chunk = Chunk.over(journeys, answer, at)
        if program.closing:
            chunk.conceded[:] = memory.conceded[at]
        for operation in program.closing:
            operation.apply(chunk)
        _close(chunk)
        _write_back(prices, at, answer)


def _write_back(prices: TransitPrices, at: Rows, answer: TransitPrices) -> None:
    """Put the answers of a chunk into their rows; those of a slice are views and stand there already."""
    if not isinstance(at, slice):
        for name in TransitPrices.SPECS:
            getattr(prices, name)[at] = getattr(answer, name)


def _reduce(program: TransitProgram, chunk: Chunk) -> None:
    """The full fare and what the card pays of it, as far as the row alone decides."""
    for operation in program.full_fare:
        operation.apply(chunk)
    chunk.charge_gross()
    for operation in program.reductions:
        operation.apply(chunk)


def _close(chunk: Chunk) -> None:
    kernels.close_rows(
        chunk.gross, chunk.fare, chunk.fund_pays, chunk.fund, chunk.operator_bears, chunk.rule, chunk.priced
    )
