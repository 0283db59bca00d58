"""Price journeys: column by column in chunks that stay in cache, then card by card where a tariff remembers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Codes, Days, Ints
from tariffs.compiler import CompiledTariff, TransitProgram
from tariffs.errors import TariffError, TariffStateError
from tariffs.owner_order import deal_rows
from tariffs.tariff import Tariff
from tariffs.threads import run_all
from tariffs.transit.accumulators import accumulator_of, refuse_renamed
from tariffs.transit.chunk import Chunk, new_scratch
from tariffs.transit.columns import JourneysPart, TransitJourneys, TransitPrices
from tariffs.transit.kernels import rows as kernels
from tariffs.transit.kernels import walk
from tariffs.transit.memory import Dated, Memory, walk_journeys
from tariffs.transit.state import TransitState, accumulator_id

CHUNK_ROWS = 32_768
"""Rows per chunk: what one step works on stays in the caches, and its fixed cost is spread. With half as many rows
the interpreter costs more than nearer caches save."""

TASK_ROWS = 2 * CHUNK_ROWS
"""Rows a thread takes at a time."""

COUNTED_FARE_MAX = 30_000_000
"""Largest full fare (fen) that accumulators count; beyond it a row is not covered.

It keeps fare × fare × ratio inside int64.
"""

_LATER = ("card_pays", "fund_pays", "fund", "operator_bears", "segment")
"""Answers that are not known before the walk: until then, nothing of them is written to memory."""

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
    prices = TransitPrices.blank(len(journeys))
    scratch = new_scratch(min(len(journeys), CHUNK_ROWS))
    for rows in _slices(0, len(journeys), CHUNK_ROWS):
        chunk = Chunk.over(journeys, prices.take(rows), rows, scratch).clear()
        _clear_bearers(chunk.prices, compiled.segment)
        _reduce(program, chunk)
        _close(chunk.prices)
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
    batch = _Batch(_Network.of(tariffs), of_row, journeys, threads)
    return (batch.prices, batch.remember(opening)) if batch.network.remembers else (batch.price(), opening)


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
    own = np.where(journeys.entry_time != NULL, journeys.entry_time, journeys.exit_time)
    counts = np.where(journeys.counted_at != NULL, journeys.counted_at, own)
    sound = (np.minimum(own, counts) >= -kernels.TIME_MAX) & (np.maximum(own, counts) <= kernels.TIME_MAX)
    days = (np.where(sound, own, 0) - tariff.clock.day_starts_s) // kernels.DAY_S
    return np.where(sound, days, 0).astype(np.int32)


def _slots(tariffs: Sequence[Tariff], tariff: Tariff, name: str, shared: bool, slots: int) -> list[str]:
    own = name if shared or len(tariffs) == 1 else f"{tariff.id}: {name}"
    return [own] if slots == 1 else [f"{own}[{k}]" for k in range(slots)]


@dataclass(frozen=True)
class _Network:
    """Every dated segment of every tariff as one list of programs."""

    programs: tuple[TransitProgram, ...]
    segments: tuple[int, ...]
    """Segment of each program in its own tariff."""
    dates: tuple[Ints, Ints, Ints]
    """First program of each tariff (and their number), first second of each program, end of each tariff."""
    memory: Dated

    def counts(self, program: int) -> bool:
        """Whether a program (−1 = none) has steps that remember."""
        return program >= 0 and bool(self.programs[program].accumulators)

    @property
    def remembers(self) -> bool:
        """Whether some program has steps that remember."""
        return any(program.accumulators for program in self.programs)

    @classmethod
    def of(cls, tariffs: Sequence[Tariff]) -> _Network:
        """Programs in the order of the tariffs and their segments."""
        owned = [(tariff, compiled) for tariff in tariffs for compiled in tariff.compiled]
        programs = tuple(compiled.transit_program() for _, compiled in owned)
        day_starts = tariffs[0].clock.day_starts_s
        dates = (
            np.cumsum([0, *(len(tariff.compiled) for tariff in tariffs)]),
            np.array([_second(part.first, day_starts) for tariff in tariffs for part in tariff.segments], np.int64),
            np.array([_second(tariff.last_day, day_starts) + kernels.DAY_S for tariff in tariffs], np.int64),
        )
        ids = np.sort(np.array([accumulator_id(name) for name in network_accumulators(tariffs)], np.int64))
        assert (np.diff(ids) > 0).all(), "two names have one number"
        depth = max(len(program.accumulators) for program in programs)
        terms = np.zeros((len(programs), depth), walk.TERM)
        tables: list[Ints] = []
        length = 0
        for index, (owner, _) in enumerate(owned):
            for step in map(accumulator_of, programs[index].accumulators):
                term = terms[index, step.position]
                for name, value in step.terms:
                    term[name] = value
                first_slot = _slots(tariffs, owner, step.name, step.shared, step.slots)[0]
                term["slot"] = np.searchsorted(ids, accumulator_id(first_slot))
                term["table"] = length
                tables.append(step.table)
                length += len(step.table)
        table = np.concatenate([*tables, np.zeros(1, np.int64)])
        segments = tuple(compiled.segment for _, compiled in owned)
        return cls(programs, segments, dates, Dated(tariffs[0].clock, terms, table, ids))


def _second(day: date, day_starts: int) -> int:
    """Local second since 1970 at which an operating day begins."""
    return (day.toordinal() - _EPOCH) * kernels.DAY_S + day_starts


class _Batch:
    """Journeys on their way through the programs of a network."""

    def __init__(self, network: _Network, of_row: Codes | None, journeys: TransitJourneys, threads: int) -> None:
        self.network, self.journeys, self.threads = network, journeys, threads
        self.prices = TransitPrices.blank(len(journeys))
        self._of_row = np.empty(0, np.uint16) if of_row is None else of_row
        self._program = np.empty(len(journeys), np.int16)
        self._ranges = list(_slices(0, len(journeys), TASK_ROWS))

    def price(self) -> TransitPrices:
        """Price rows of programs that remember nothing."""

        def price(rows: slice) -> None:
            self._date(rows, np.empty(0, np.int64))
            for program, at, chunk in self._chunks(rows):
                _reduce(self.network.programs[program], chunk)
                _close(chunk.prices)
                self._write_back(at, chunk.prices)

        run_all(price, self._ranges, self.threads)
        return self.prices

    def remember(self, opening: TransitState) -> TransitState:
        """Price rows after what their cards did before; returns the state after them."""
        time = np.empty(len(self.journeys), np.int64)
        spans = run_all(lambda rows: self._date(rows, time[rows]), self._ranges, self.threads)
        spans = [span for span in spans if span[0] <= span[1]]
        if not spans:
            return opening
        earliest, latest = min(span[0] for span in spans), max(span[1] for span in spans)
        order = deal_rows(self.journeys.card, time, self.journeys.sequence, self.threads, (earliest, latest))
        closing = any(program.closing for program in self.network.programs)
        memory = Memory.of(order, ends=self.network.memory.ends, closing=closing)
        run_all(lambda rows: self._note(rows, memory), self._ranges, self.threads)
        after = walk_journeys(self.network.memory, self.journeys, opening, (earliest, latest), memory, self.threads)
        run_all(lambda rows: self._settle(rows, memory), self._ranges, self.threads)
        return after

    def _date(self, rows: slice, time: Ints) -> tuple[int, int]:
        """Programs and times of rows; those without a program have their answer, which is none."""
        part = JourneysPart(self.journeys, rows)
        columns = (part.entry_time, part.exit_time, part.counted_at)
        found: tuple[int, int] = kernels.date_rows(
            *columns, self._of_row[rows], *self.network.dates, self._program[rows], time
        )
        if self._program[rows].min() < 0:
            self.prices.take(rows).clear()
        return found

    def _note(self, rows: slice, memory: Memory) -> None:
        """Price rows as far as each alone decides."""
        of_row = self._program[rows]
        if of_row.min() != of_row.max() or not self.network.counts(int(of_row[0])):
            memory.pass_over(rows)
        length = min(rows.stop - rows.start, CHUNK_ROWS)
        later = {name: np.empty(length, TransitPrices.SPECS[name].dtype) for name in _LATER}
        for number, at, chunk in self._chunks(rows, later):
            program = self.network.programs[number]
            _reduce(program, chunk)
            if program.accumulators:
                kernels.countable(chunk.gross, COUNTED_FARE_MAX, chunk.priced)
                for operation in program.accumulators:
                    operation.apply(chunk)
                memory.note(at, chunk, number)
            else:
                _close(chunk.prices)
            self._write_back(at, chunk.prices)

    def _settle(self, rows: slice, memory: Memory) -> None:
        """After the walk: who bears what the card does not pay."""
        for number, at in self._programs(rows):
            program = self.network.programs[number]
            if not program.accumulators:
                continue
            answer = self.prices.take(at)
            kernels.take_outcome(
                memory.order.place[at],
                memory.outcome,
                self.network.segments[number],
                answer.gross,
                answer.card_pays,
                answer.fund_pays,
                answer.fund,
                answer.operator_bears,
                answer.rule,
                answer.segment,
                answer.priced,
            )
            if program.closing:
                chunk = Chunk.over(self.journeys, answer, at)
                chunk.conceded[:] = memory.conceded[at]
                for operation in program.closing:
                    operation.apply(chunk)
                _close(answer)
            self._write_back(at, answer)

    def _chunks(
        self, rows: slice, later: Mapping[str, npt.NDArray[Any]] | None = None
    ) -> Iterator[tuple[int, Rows, Chunk]]:
        """The rows that have a program, in chunks of one program each: its number, the rows, the chunk.

        ``later``: what stands in for the columns of :data:`_LATER` where a program remembers.
        """
        scratch = new_scratch(min(rows.stop - rows.start, CHUNK_ROWS))
        for program, at in self._programs(rows):
            if isinstance(at, slice) and later is not None and self.network.counts(program):
                now = {n: getattr(self.prices, n)[at] for n in TransitPrices.SPECS if n not in later}
                answer = TransitPrices(**now, **{n: column[: at.stop - at.start] for n, column in later.items()})
            else:
                answer = self.prices.take(at) if isinstance(at, slice) else TransitPrices.blank(len(at))
                _clear_bearers(answer, self.network.segments[program])
            yield program, at, Chunk.over(self.journeys, answer, at, scratch).clear()

    def _programs(self, rows: slice) -> Iterator[tuple[int, Rows]]:
        """The rows that have a program, as many at a time as a chunk has, with the number of the program."""
        of_row = self._program[rows]
        uniform = of_row.min() == of_row.max()
        for program in [int(of_row[0])] if uniform else np.unique(of_row).tolist():
            if program < 0:
                continue
            members = None if uniform else np.flatnonzero(of_row == program) + rows.start
            length = rows.stop - rows.start if members is None else len(members)
            for within in _slices(0, length, CHUNK_ROWS):
                first = rows.start + within.start
                yield (
                    program,
                    slice(first, first + within.stop - within.start) if members is None else members[within],
                )

    def _write_back(self, at: Rows, answer: TransitPrices) -> None:
        """Put the answers of a chunk into their rows; those of a slice are views and stand there already."""
        if not isinstance(at, slice):
            for name in TransitPrices.SPECS:
                getattr(self.prices, name)[at] = getattr(answer, name)


def _slices(first: int, last: int, rows: int) -> Iterator[slice]:
    for start in range(first, last, rows):
        yield slice(start, min(start + rows, last))


def _reduce(program: TransitProgram, chunk: Chunk) -> None:
    """The full fare and what the card pays of it, as far as the row alone decides."""
    for operation in program.full_fare:
        operation.apply(chunk)
    chunk.charge_gross()
    for operation in program.reductions:
        operation.apply(chunk)


def _clear_bearers(answer: TransitPrices, segment: int) -> None:
    kernels.clear_bearers(answer.fund_pays, answer.fund, answer.operator_bears, answer.segment, segment)


def _close(answer: TransitPrices) -> None:
    kernels.close_rows(
        answer.gross,
        answer.card_pays,
        answer.fund_pays,
        answer.fund,
        answer.operator_bears,
        answer.rule,
        answer.priced,
    )
