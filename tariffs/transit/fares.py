"""Steps that say what a journey costs in full: flat, terminal, look-up, surcharge, maximum fare.

The first step that covers a row decides its gross fare; ``surcharge`` adds to it, and ``max_fare`` alone takes
every incomplete row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tariffs.columns import Bools, Shorts
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, Flag, Strict, in_range
from tariffs.rounding import RATIO_ONE, RoundingMode
from tariffs.transit.bands import BandQuantity, quantity_of
from tariffs.transit.chunk import Chunk, Phase, TransitStep
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName, TransitJourneys
from tariffs.transit.conditions import class_mask
from tariffs.transit.kernels import rows as kernels
from tariffs.transit.pairs import PairIndex, pair_index
from tariffs.transit.scales import MarginalBand, RoundTo, StartedBlocks, share_of, started_blocks, upper_edges


class Flat(TransitStep):
    """One fare for every row, or for the named classes."""

    phase: ClassVar[Phase] = Phase.GROSS
    fare: Fen
    classes: list[ClassName] | None = None

    def compile(self, context: Context) -> FlatFare:
        return FlatFare(self.fare, class_mask(self.classes), context.rule("flat"))


@dataclass(frozen=True)
class FlatFare:
    """Compiled :class:`Flat`."""

    fare: int
    classes: Bools | None
    rule: int

    def apply(self, chunk: Chunk) -> None:
        chunk.set_gross(chunk.unpriced(chunk.condition, self.classes), self.fare, self.rule)


class Gross(TransitStep):
    """The full fare as the terminal saw it; null or absurd amounts are not covered."""

    phase: ClassVar[Phase] = Phase.GROSS
    source: Literal["terminal"]

    def compile(self, context: Context) -> TerminalGross:
        return TerminalGross(context.rule("gross.terminal"))


@dataclass(frozen=True)
class TerminalGross:
    """Compiled :class:`Gross`."""

    rule: int

    def apply(self, chunk: Chunk) -> None:
        rows = chunk.unpriced(in_range(chunk.journeys.gross_fare), classes=None)
        chunk.set_gross(rows, chunk.journeys.gross_fare, self.rule)


FareColumns = Annotated[dict[ClassName | Literal["all"], str], Field(min_length=1)]
"""Class → column of a table that holds its fare; ``all`` alone serves every class."""


def column_of_class(columns: Mapping[Any, str], names: Sequence[str]) -> Shorts:
    """Position in ``names`` of the column of each class code, int32 of shape (256,), −1 for classes without one.

    ParameterError when ``all`` stands beside a class.
    """
    if "all" in columns and len(columns) > 1:
        raise ParameterError("columns", sorted(columns), "name `all` alone, or each class")
    positions = np.full(CLASS_CODES, -1, np.int32)
    for class_name, column in columns.items():
        codes = slice(None) if class_name == "all" else CardClass[class_name.upper()]
        positions[codes] = names.index(column)
    return positions


class Lookup(TransitStep):
    """Full fare from a table of station pairs; which column holds the fare of which class.

    ``directed: false`` means each unordered pair stands once and serves both ways.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    table: str
    directed: Flag
    columns: FareColumns

    def compile(self, context: Context) -> PairFare:
        table = context.table(self.table)
        names = list(dict.fromkeys(self.columns.values()))
        index, fares = pair_index(table, names, directed=self.directed)
        return PairFare(index, fares, column_of_class(self.columns, names), context.rule(f"lookup.{self.table}"))


@dataclass(frozen=True)
class PairFare:
    """Compiled :class:`Lookup`: ``fares`` is int32 (columns · stations²,), −1 where none is published."""

    index: PairIndex
    fares: Shorts
    column_of_class: Shorts
    rule: int

    def apply(self, chunk: Chunk) -> None:
        kernels.pair_fares(
            chunk.journeys.entry_station,
            chunk.journeys.exit_station,
            chunk.condition,
            chunk.refused,
            chunk.card_class,
            self.column_of_class,
            self.index.dense,
            self.index.stations,
            self.fares,
            self.rule,
            chunk.gross,
            chunk.rule,
            chunk.priced,
        )


Markup = Annotated[int, Field(strict=True, ge=0, le=10 * RATIO_ONE)]
"""What a surcharge adds, in 1/10,000 of the fare."""


class Surcharge(TransitStep):
    """More on top of the full fare found so far: ``add`` fen, ``per_10000`` of it, or started blocks.

    ``blocks`` are of the quantity ``of``; a row without that quantity pays no surcharge. A night factor is a
    ``per_10000`` under a ``when`` with a time frame.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    add: Fen | None = None
    per_10000: Markup | None = None
    rounding: RoundingMode | None = None
    to: RoundTo = 1
    of: BandQuantity | None = None
    blocks: Annotated[list[MarginalBand], Field(min_length=1)] | None = None

    def compile(self, context: Context) -> FixedSurcharge | ShareSurcharge | BlockSurcharge:
        if sum(part is not None for part in (self.add, self.per_10000, self.blocks)) != 1:
            raise ParameterError("add", self.model_dump(exclude_none=True), "give one of add, per_10000, blocks")
        if (self.per_10000 is None) != (self.rounding is None):
            raise ParameterError("rounding", self.rounding, "state it with per_10000, and only there")
        if self.to != 1 and self.per_10000 is None:
            raise ParameterError("to", self.to, "state it with per_10000, and only there")
        if (self.blocks is None) != (self.of is None):
            raise ParameterError("of", self.of, "state the quantity with blocks, and only there")
        rule = context.rule("surcharge")
        if self.blocks is not None and self.of is not None:
            upper_edges(self.blocks, "blocks", open_end=True)
            return BlockSurcharge(self.of, started_blocks(self.blocks), rule)
        if self.per_10000 is not None and self.rounding is not None:
            return ShareSurcharge(self.per_10000, self.rounding, self.to, rule)
        return FixedSurcharge(self.add or 0, rule)


@dataclass(frozen=True)
class FixedSurcharge:
    """Compiled :class:`Surcharge` of a fixed amount."""

    amount: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        chunk.set_gross(chunk.priced & chunk.condition, chunk.gross + self.amount, self.rule)


@dataclass(frozen=True)
class ShareSurcharge:
    """Compiled :class:`Surcharge` of a share of the fare so far."""

    ratio: int
    rounding: RoundingMode
    to: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        more = share_of(chunk.gross, self.ratio, self.to, self.rounding)
        more += chunk.gross
        chunk.set_gross(chunk.priced & chunk.condition, more, self.rule)


@dataclass(frozen=True)
class BlockSurcharge:
    """Compiled :class:`Surcharge` of started blocks."""

    of: BandQuantity
    blocks: StartedBlocks
    rule: int

    def apply(self, chunk: Chunk) -> None:
        quantity = quantity_of(chunk, self.of)
        rows = chunk.priced & chunk.condition & in_range(quantity)
        more = self.blocks.price(np.where(rows, quantity, 0))
        rows &= more > 0
        more += chunk.gross
        chunk.set_gross(rows, more, self.rule)


class HighestFare(Strict):
    """The highest fare a table of station pairs has from (or to) the one station that is known."""

    table: str
    directed: Flag
    column: str


class MaxFare(TransitStep):
    """What an incomplete journey costs, whatever the steps before found.

    ``highest`` takes the dearest journey of the station that is known; ``fare`` is for the others.
    ``discounts: false`` charges it in full to every class.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    fare: Fen
    highest: HighestFare | None = None
    discounts: Flag

    def compile(self, context: Context) -> IncompleteFare:
        station = None
        if self.highest is not None:
            terms = self.highest
            index, fares = pair_index(context.table(terms.table), [terms.column], directed=terms.directed)
            square = fares.reshape(len(index.stations), -1)
            station = StationMaximum(index, square.max(axis=1), square.max(axis=0))
        return IncompleteFare(self.fare, station, self.discounts, context.rule("max_fare"))


@dataclass(frozen=True)
class StationMaximum:
    """Highest fare from and to each station, int32 of shape (stations,); −1 = none published."""

    index: PairIndex
    leaving: Shorts
    arriving: Shorts

    def fare(self, journeys: TransitJourneys) -> Shorts:
        """Highest fare of the entry station, of the exit station where that is not known; −1 = neither is."""
        entry = self.index.indices(journeys.entry_station)
        exit_ = self.index.indices(journeys.exit_station)
        arriving = np.where(exit_ >= 0, self.arriving.take(exit_, mode="clip"), -1)
        return np.where(entry >= 0, self.leaving.take(entry, mode="clip"), arriving)


@dataclass(frozen=True)
class IncompleteFare:
    """Compiled :class:`MaxFare`."""

    fare: int
    station: StationMaximum | None
    discounts: bool
    rule: int

    def apply(self, chunk: Chunk) -> None:
        rows = (chunk.journeys.incomplete != 0) & chunk.condition
        if not rows.any():
            return
        np.greater(chunk.refused, rows, out=chunk.refused)
        fare: npt.ArrayLike = self.fare
        if self.station is not None:
            highest = self.station.fare(chunk.journeys)
            fare = np.where(highest >= 0, highest, self.fare)
        chunk.set_gross(rows, fare, self.rule)
        if not self.discounts:
            chunk.open[rows] = False
