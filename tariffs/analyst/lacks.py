"""What rows lack of what a tariff reads: said by column and step, never filled in by a default nobody sees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tariffs.analyst.rows import DatedRows, place
from tariffs.analyst.services import SERVICES, price_rows
from tariffs.columns import NULL, Bools, Columns, Days, Ints
from tariffs.errors import ParameterError
from tariffs.needs import reads_of
from tariffs.parameters import Strict
from tariffs.reads import Read
from tariffs.tariff import Tariff
from tariffs.trace import step_label, truncated
from tariffs.transit.chunk import Phase, TransitStep
from tariffs.transit.columns import CardClass, TransitJourneys
from tariffs.transit.fares import MaxFare, Surcharge
from tariffs.transit.reads import UNKNOWN_OF_INCOMPLETE, Look, looks_of, parts_of
from tariffs.transit.zones import Zones
from tariffs.utility.columns import UtilityUsages

_ALWAYS_LOOK = (Surcharge, MaxFare, Zones)
"""Steps of the full fare that read a journey another step has priced already."""


@dataclass(frozen=True)
class Lack:
    """Rows that lack a value a step reads of them."""

    column: str
    step: str
    rows: Ints
    """Positions of the rows; none of them stands in an earlier lack."""


def require_columns(tariff: Tariff, dated: DatedRows) -> None:
    """ParameterError for a column that a step reads on the rows' days and that nobody gave."""
    for step in _steps_on(tariff, dated.day):
        for read in reads_of(step[1]):
            if read.always and not dated.given.intersection(read.columns):
                column, label = " / ".join(read.columns), step_label(*step)
                raise ParameterError("header", column, f"the step {label} reads it: give this column")


def assumed(tariff: Tariff, dated: DatedRows) -> dict[str, int]:
    """Columns that a step reads and nobody gave, with the value that stands for every row instead."""
    specs = SERVICES[tariff.kind].rows.SPECS
    columns = dict.fromkeys(
        name for step in _steps_on(tariff, dated.day) for read in reads_of(step[1]) for name in read.columns
    )
    return {
        name: default
        for name in columns
        if name not in dated.given and (default := specs[name].default) is not None and default != NULL
    }


def refuse_lacking(tariff: Tariff, dated: DatedRows) -> None:
    """ParameterError for the first row that lacks a value a step reads of it."""
    for lack in lacks_of(tariff, dated):
        missing = np.zeros(len(dated.rows), np.bool_)
        missing[lack.rows] = True
        raise ParameterError(place(lack.column, missing), None, remedy_for(tariff, lack))


def remedy_for(tariff: Tariff, lack: Lack) -> str:
    """What to do about a value that is missing; only transit steps say which rows they are for."""
    if tariff.kind != "transit":
        return f"the step {lack.step} reads it: give it in every row"
    return f"the step {lack.step} reads it: give it, or say by `when` which rows the step is for"


def lacks_of(tariff: Tariff, dated: DatedRows) -> list[Lack]:
    """Rows that lack a value, each once, by the first step that reads it."""
    segments = tariff.segment_of(dated.day)
    found: list[Lack] = []
    known = np.zeros(len(segments), np.bool_)
    for index in np.unique(segments[segments >= 0]).tolist():
        at = np.flatnonzero(segments == index)
        part = _part(tariff, dated, at)
        for number, (name, step) in enumerate(tariff.segments[index].steps):
            label = step_label(name, step)
            for column, lacking in part.lacking(step):
                rows = at[lacking & ~known[at]]
                if len(rows) and isinstance(step, TransitStep) and step.phase is Phase.GROSS:
                    rows = _still_unpriced(tariff, index, number, step, dated, rows)
                if len(rows):
                    found.append(Lack(column, label, rows))
                    known[rows] = True
    return found


def _steps_on(tariff: Tariff, day: Days) -> Iterator[tuple[str, Strict]]:
    """Steps of the segments that the days of rows lie in."""
    segments = tariff.segment_of(day)
    for index in np.unique(segments[segments >= 0]).tolist():
        yield from tariff.segments[index].steps


def _still_unpriced(tariff: Tariff, segment: int, number: int, step: Strict, dated: DatedRows, rows: Ints) -> Ints:
    """Those of ``rows`` for which a step of the full fare is asked: no step before has priced them."""
    shorter = None if isinstance(step, _ALWAYS_LOOK) else truncated(tariff, segment, number)
    if shorter is None:
        return rows
    priced = price_rows(shorter, dated.rows.take(rows), dated.day[rows]).priced
    return rows[~priced]


@dataclass(frozen=True)
class _Part:
    """Some rows, and where values of theirs are missing, by column; no column that lacks nothing."""

    rows: Columns
    empty: Mapping[str, Bools]
    given: Collection[str]

    def lacking(self, step: Strict) -> Iterator[tuple[str, Bools]]:
        """Columns a step reads, each with the rows that lack it though the step is for them."""
        if not any(name in self.empty for read in reads_of(step) for name in read.columns):
            return
        if isinstance(self.rows, TransitJourneys):
            for look in looks_of(step):
                yield from self._looked_at(self.rows, look)
            return
        for read in reads_of(step):
            yield from self._read(read)

    def _looked_at(self, journeys: TransitJourneys, look: Look) -> Iterator[tuple[str, Bools]]:
        """Rows on which a condition cannot be decided, then those for which all hold and a value lacks."""
        meant = np.ones(len(journeys), np.bool_)
        undecided: list[tuple[str, Bools]] = []
        for when in look.conditions:
            for part, columns in parts_of(when):
                holds, unsure = part.compile().of(journeys)
                lacking = [(name, rows) for read in columns for name, rows in self._read(read)]
                undecided += lacking
                for mask in [rows for _, rows in lacking] + ([] if unsure is None else [unsure]):
                    holds = holds | mask
                meant &= holds
        if look.classes is not None:
            codes = [CardClass[name.upper()] for name in look.classes]
            meant &= np.isin(journeys.card_class, codes) | self._empty_of("card_class")
        for name, rows in [*undecided, *(each for read in look.columns for each in self._read(read))]:
            yield name, rows & meant

    def _read(self, read: Read) -> Iterator[tuple[str, Bools]]:
        """The column of a read with the rows that lack it."""
        there = [name for name in read.columns if name in self.given]
        if read.empty == "known" or (not there and not read.always):
            return
        lacking = np.ones(len(self.rows), np.bool_)
        for name in read.columns:
            lacking &= self._empty_of(name)
        if read.empty == "once_per_bill" and lacking.any():
            lacking &= ~self._given_in_bill(lacking)
        if isinstance(self.rows, TransitJourneys) and UNKNOWN_OF_INCOMPLETE.issuperset(read.columns):
            lacking &= self.rows.incomplete == 0
        if lacking.any():
            yield (there or read.columns)[0], lacking

    def _empty_of(self, name: str) -> Bools:
        return self.empty.get(name, np.zeros(len(self.rows), np.bool_))

    def _given_in_bill(self, lacking: Bools) -> Bools:
        """Rows of a bill another row of which has the value."""
        assert isinstance(self.rows, UtilityUsages)
        alone = self.rows.bill == NULL
        keys = np.stack([self.rows.account, np.where(alone, np.arange(len(alone)), self.rows.bill), alone])
        bill = np.unique(keys, axis=1, return_inverse=True)[1]
        has = np.zeros(int(bill.max(initial=-1)) + 1, np.bool_)
        has[bill[~lacking]] = True
        return has[bill]


def _part(tariff: Tariff, dated: DatedRows, at: Ints) -> _Part:
    empty = {name: cells[at] for name, cells in dated.empty.items() if cells[at].any()}
    for name, spec in SERVICES[tariff.kind].rows.SPECS.items():
        # A column nobody gave takes its default, which is a value unless it is NULL.
        if name not in dated.given and spec.default == NULL:
            empty[name] = np.ones(len(at), np.bool_)
    return _Part(dated.rows.take(at), empty, dated.given)
