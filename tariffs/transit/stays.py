"""What a rental or a parking stay costs: started blocks of its duration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, PositiveQuantity, Quantity, Strict, in_range
from tariffs.transit.chunk import Chunk, Phase, TransitStep
from tariffs.transit.scales import MarginalBand, StartedBlocks, parts_between, started_blocks, upper_edges
from tariffs.transit.timeframes import DAY_SECONDS, TimeOfDay, seconds_of_day


class DailyCap(Strict):
    """At most ``fare`` for each started ``per_started`` seconds from the beginning of the stay."""

    per_started: PositiveQuantity
    fare: Fen


class DurationBlocks(TransitStep):
    """Rental or parking: free seconds, then started blocks.

    ``charge_from: start`` forfeits the free time once it is exceeded (a 70-minute stay with 60 free minutes
    pays from minute 0); ``free_end`` charges only what lies beyond it. With ``at_most`` the blocks start anew
    in each of its periods; the free time counts once.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    free: Quantity
    charge_from: Literal["start", "free_end"]
    blocks: Annotated[list[MarginalBand], Field(min_length=1)]
    at_most: DailyCap | None = None

    def compile(self, context: Context) -> DurationFare:
        upper_edges(self.blocks, "blocks", open_end=True)
        free_rule = context.rule("duration_blocks.free")
        return DurationFare(
            self.free,
            self.free if self.charge_from == "free_end" else 0,
            started_blocks(self.blocks),
            self.at_most,
            free_rule,
            context.rule("duration_blocks.charged"),
        )


@dataclass(frozen=True)
class DurationFare:
    """Compiled :class:`DurationBlocks`; the charge begins ``offset`` seconds into the stay."""

    free: int
    offset: int
    blocks: StartedBlocks
    at_most: DailyCap | None
    free_rule: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        duration = chunk.journeys.duration_s
        rows = chunk.unpriced(in_range(duration), classes=None)
        charged = rows & (duration > self.free)
        seconds = np.where(charged, duration - self.offset, 0)
        fare = self._capped(seconds)
        chunk.set_gross(rows, fare, np.where(charged, self.rule, self.free_rule))

    def _capped(self, seconds: Ints) -> Ints:
        if self.at_most is None:
            return self.blocks.price(seconds)
        periods = seconds // self.at_most.per_started
        rest = seconds - periods * self.at_most.per_started
        # A full period costs what its blocks cost, at most the cap.
        whole = self.blocks.price(np.array([self.at_most.per_started], np.int64))[0]
        periods *= min(int(whole), self.at_most.fare)
        return periods + np.minimum(self.blocks.price(rest), self.at_most.fare)


class TimedPeriod(Strict):
    """A daily period and the started blocks of the seconds a stay spends in it."""

    start: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="before")]
    blocks: Annotated[list[MarginalBand], Field(min_length=1)]


class TimedBlocks(TransitStep):
    """Rental or parking with day and night rates: the seconds of all days inside a period are added up.

    The periods fill the day without gap or overlap. A stay of up to ``free`` seconds costs nothing; a longer
    one pays from its first second.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    free: Quantity
    periods: Annotated[list[TimedPeriod], Field(min_length=2)]

    def compile(self, context: Context) -> TimedFare:
        bounds = [(seconds_of_day(period.start), seconds_of_day(period.end) % DAY_SECONDS) for period in self.periods]
        for index, (_, end) in enumerate(bounds):
            start = bounds[(index + 1) % len(bounds)][0]
            if end != start:
                raise ParameterError(
                    f"periods[{index}].before", self.periods[index].end, "the next period begins where this one ends"
                )
        if sum((end - start) % DAY_SECONDS for start, end in bounds) != DAY_SECONDS:
            raise ParameterError("periods", len(bounds), "the periods go once round the day")
        parts = []
        for index, (period, (start, end)) in enumerate(zip(self.periods, bounds, strict=True)):
            upper_edges(period.blocks, f"periods[{index}].blocks", open_end=True)
            parts.append(TimedPart(start, end, started_blocks(period.blocks)))
        free_rule = context.rule("timed_blocks.free")
        return TimedFare(self.free, tuple(parts), free_rule, context.rule("timed_blocks.charged"))


@dataclass(frozen=True)
class TimedPart:
    """Blocks for the seconds from ``start`` to ``end`` of every day; past midnight when end ≤ start."""

    start: int
    end: int
    blocks: StartedBlocks

    def seconds_until(self, time: Ints) -> Ints:
        """Seconds of the period between 1970 and ``time`` (int64 ≥ 0), up to a constant."""
        day = time // DAY_SECONDS
        second = time - day * DAY_SECONDS
        if self.start < self.end:
            return day * (self.end - self.start) + parts_between(second, self.start, self.end)
        outside = day * (self.start - self.end) + parts_between(second, self.end, self.start)
        return time - outside


@dataclass(frozen=True)
class TimedFare:
    """Compiled :class:`TimedBlocks`."""

    free: int
    parts: tuple[TimedPart, ...]
    free_rule: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        known = (chunk.journeys.entry_time >= 0) & (chunk.journeys.exit_time >= 0)
        entry = np.where(known, chunk.journeys.entry_time, 0)
        exit_ = np.where(known, chunk.journeys.exit_time, 0)
        stay = exit_ - entry
        rows = chunk.unpriced(known & in_range(stay), classes=None)
        charged = rows & (stay > self.free)
        exit_ = np.where(charged, exit_, entry)
        fare = np.zeros(len(stay), np.int64)
        for part in self.parts:
            fare += part.blocks.price(part.seconds_until(exit_) - part.seconds_until(entry))
        chunk.set_gross(rows, fare, np.where(charged, self.rule, self.free_rule))
