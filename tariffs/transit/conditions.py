"""The ``when`` of a step: which journeys it is for, by declared columns only.

All parts must hold. A value that is missing satisfies no part: who wants a concession by age must have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import NULL, Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Flag, Quantity, Strict
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName, TransitJourneys
from tariffs.transit.pairs import StationIndex, station_index
from tariffs.transit.timeframes import DAY_SECONDS, CompiledTimeframe, Timeframe

Numbers = Annotated[list[Annotated[int, Field(strict=True)]], Field(min_length=1)]
NumberColumn = Literal["line", "operator", "entry_station", "exit_station", "product"]
RangeColumn = Literal["age", "distance_m", "duration_s"]
FlagColumn = Literal["transfer", "incomplete"]


class Range(Strict):
    """``at_least`` ≤ value ≤ ``at_most``; one of them may be left out."""

    at_least: Quantity | None = None
    at_most: Quantity | None = None


class When(Strict):
    """Conditions on columns of the journey; those not named do not matter."""

    classes: Annotated[list[ClassName], Field(min_length=1)] | None = None
    modes: Annotated[list[Annotated[int, Field(strict=True, ge=0, le=255)]], Field(min_length=1)] | None = None
    lines: Numbers | None = None
    operators: Numbers | None = None
    entry_stations: Numbers | None = None
    exit_stations: Numbers | None = None
    products: Numbers | None = None
    same_station: Flag | None = None
    """Entry and exit are one station; false asks for two different ones."""
    concession_valid: Flag | None = None
    """The journey begins on a day up to ``concession_last_day``; true also where that has no end."""
    age: Range | None = None
    distance_m: Range | None = None
    duration_s: Range | None = None
    transfer: Flag | None = None
    incomplete: Flag | None = None
    timeframe: Timeframe | None = None

    def compile(self) -> Condition:
        """Turn lists into tables; ParameterError for an empty condition or a range without inside."""
        if not self.model_fields_set:
            raise ParameterError("", {}, "name at least one condition, or leave `when` out")
        tests: list[Test] = []
        mask = class_mask(self.classes)
        if mask is not None:
            tests.append(CodeTest("card_class", mask))
        if self.modes is not None:
            tests.append(CodeTest("mode", _code_mask(self.modes)))
        tests += self._numbers()
        if self.same_station is not None:
            tests.append(SameStation(self.same_station))
        if self.concession_valid is not None:
            tests.append(ConcessionValid(self.concession_valid))
        tests += self._ranges()
        tests += self._flags()
        timeframe = None
        if self.timeframe is not None:
            try:
                timeframe = self.timeframe.compile()
            except ParameterError as error:
                raise ParameterError(f"timeframe.{error.path}", error.value, error.remedy) from error
        return Condition(tuple(tests), timeframe)

    def _numbers(self) -> Iterable[NumberTest]:
        columns: tuple[tuple[NumberColumn, Sequence[int] | None], ...] = (
            ("line", self.lines),
            ("operator", self.operators),
            ("entry_station", self.entry_stations),
            ("exit_station", self.exit_stations),
            ("product", self.products),
        )
        for column, numbers in columns:
            if numbers is not None:
                yield NumberTest(column, station_index(np.array(numbers, np.int64)))

    def _ranges(self) -> Iterable[RangeTest]:
        columns: tuple[tuple[RangeColumn, Range | None], ...] = (
            ("age", self.age),
            ("distance_m", self.distance_m),
            ("duration_s", self.duration_s),
        )
        for column, asked in columns:
            if asked is None:
                continue
            low, high = asked.at_least, asked.at_most
            if low is None and high is None:
                raise ParameterError(column, {}, "give at_least, at_most or both")
            if low is not None and high is not None and low > high:
                raise ParameterError(column, f"{low} to {high}", "at_least is not above at_most")
            yield RangeTest(column, low or 0, high)

    def _flags(self) -> Iterable[FlagTest]:
        columns: tuple[tuple[FlagColumn, bool | None], ...] = (
            ("transfer", self.transfer),
            ("incomplete", self.incomplete),
        )
        return (FlagTest(column, asked) for column, asked in columns if asked is not None)


@dataclass(frozen=True)
class CodeTest:
    """A uint8 column whose cell of ``mask``, shape (256,), is true."""

    column: Literal["card_class", "mode"]
    mask: Bools

    def holds(self, journeys: TransitJourneys) -> Bools:
        found: Bools = self.mask.take(getattr(journeys, self.column))
        return found


@dataclass(frozen=True)
class NumberTest:
    """A column of numbers that stands in the list."""

    column: NumberColumn
    numbers: StationIndex

    def holds(self, journeys: TransitJourneys) -> Bools:
        found: Bools = self.numbers.indices(getattr(journeys, self.column)) >= 0
        return found


@dataclass(frozen=True)
class SameStation:
    """Entry and exit, both known, are equal or differ."""

    equal: bool

    def holds(self, journeys: TransitJourneys) -> Bools:
        entry, exit_ = journeys.entry_station, journeys.exit_station
        found: Bools = (entry == exit_) if self.equal else (entry != exit_)
        found &= (entry != NULL) & (exit_ != NULL)
        return found


@dataclass(frozen=True)
class ConcessionValid:
    """The day of entry (of exit, where entry is missing) is not after the last valid day, or it is."""

    asked: bool

    def holds(self, journeys: TransitJourneys) -> Bools:
        last = journeys.concession_last_day
        time = np.where(journeys.entry_time >= 0, journeys.entry_time, journeys.exit_time)
        endless = last == NULL
        valid = endless | (time // DAY_SECONDS <= last)
        found: Bools = (valid == self.asked) & (endless | (time >= 0))
        return found


@dataclass(frozen=True)
class RangeTest:
    """A quantity inside a range; null lies below every range."""

    column: RangeColumn
    low: int
    high: int | None

    def holds(self, journeys: TransitJourneys) -> Bools:
        value: Ints = getattr(journeys, self.column)
        found: Bools = value >= self.low
        if self.high is not None:
            found &= value <= self.high
        return found


@dataclass(frozen=True)
class FlagTest:
    """A flag that is set, or not."""

    column: FlagColumn
    asked: bool

    def holds(self, journeys: TransitJourneys) -> Bools:
        found: Bools = (getattr(journeys, self.column) != 0) == self.asked
        return found


Test = CodeTest | NumberTest | SameStation | ConcessionValid | RangeTest | FlagTest


@dataclass(frozen=True)
class Condition:
    """Compiled :class:`When`."""

    tests: tuple[Test, ...]
    timeframe: CompiledTimeframe | None

    def of(self, journeys: TransitJourneys) -> tuple[Bools, Bools | None]:
        """For which journeys it holds, and for which only a calendar that ends too early could tell.

        The second is None where no calendar is asked.
        """
        holds = np.ones(len(journeys), np.bool_)
        for test in self.tests:
            holds &= test.holds(journeys)
        if self.timeframe is None:
            return holds, None
        time = journeys.entry_time if self.timeframe.at == "entry" else journeys.exit_time
        inside, undecided = self.timeframe.of(time)
        undecided &= holds
        holds &= inside
        return holds, undecided


def class_mask(classes: Sequence[ClassName] | None) -> Bools | None:
    """Look-up table over card class codes, shape (256,): which of them are named; None = all."""
    return None if classes is None else _code_mask(CardClass[name.upper()] for name in classes)


def _code_mask(codes: Iterable[int]) -> Bools:
    mask = np.zeros(CLASS_CODES, np.bool_)
    mask[list(codes)] = True
    return mask
