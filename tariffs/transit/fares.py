"""Steps that say what a journey costs in full: flat, terminal, look-up, bands, blocks, maximum fare.

The first step that covers a row decides its gross fare; ``max_fare`` alone takes every incomplete row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, Flag, PositiveQuantity, Quantity, Strict, in_range
from tariffs.transit.chunk import CLASS_CODES, Chunk, ClassName, Phase, TransitStep, class_mask
from tariffs.transit.columns import CardClass
from tariffs.transit.pairs import PairIndex, pair_index
from tariffs.transit.scales import StartedBlocks, upper_edges


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
        rows = ~chunk.priced
        if self.classes is not None:
            rows &= chunk.of_class(self.classes)
        chunk.set_gross(rows, self.fare, self.rule)


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


class Lookup(TransitStep):
    """Full fare from a table of station pairs; which column holds the fare of which class.

    ``directed: false`` means each unordered pair stands once and serves both ways.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    table: str
    directed: Flag
    columns: Annotated[dict[ClassName | Literal["all"], str], Field(min_length=1)]

    def compile(self, context: Context) -> PairFare:
        table = context.table(self.table)
        if "all" in self.columns and len(self.columns) > 1:
            raise ParameterError("columns", sorted(self.columns), "name `all` alone, or each class")
        names = list(dict.fromkeys(self.columns.values()))
        index, fares = pair_index(table, names, directed=self.directed)
        column_of_class = np.full(CLASS_CODES, -1, np.int64)
        for class_name, column in self.columns.items():
            codes = slice(None) if class_name == "all" else CardClass[class_name.upper()]
            column_of_class[codes] = names.index(column)
        return PairFare(index, fares, column_of_class, context.rule(f"lookup.{self.table}"))


@dataclass(frozen=True)
class PairFare:
    """Compiled :class:`Lookup`: ``fares`` is int64 (columns · stations²,), −1 where none is published."""

    index: PairIndex
    fares: Ints
    column_of_class: Ints
    rule: int

    def apply(self, chunk: Chunk) -> None:
        journeys = chunk.journeys
        cell, known = self.index.cells(journeys.entry_station, journeys.exit_station)
        column = chunk.of_class(self.column_of_class)
        known &= column >= 0
        column *= self.index.size
        column += cell
        # mode="clip" spares the bounds check; cells of unknown rows are 0 and masked out below.
        fare = self.fares.take(column, mode="clip")
        known &= fare >= 0
        chunk.set_gross(chunk.unpriced(known, classes=None), fare, self.rule)


class StepBand(Strict):
    """One fare up to and including an edge."""

    up_to: Quantity | None = None
    fare: Fen


class Beyond(Strict):
    """How the fare goes on after the last edge: ``add`` for each started ``per_started``."""

    per_started: PositiveQuantity
    add: Fen


class MarginalBand(Strict):
    """``add`` fen for each started ``per_started`` of the part inside the band."""

    up_to: Quantity | None = None
    per_started: PositiveQuantity
    add: Fen


BandQuantity = Literal["distance_m", "duration_s", "gross_fare"]


class Bands(TransitStep):
    """Full fare by bands of a quantity: `step` takes the fare of the band, `marginal` adds up the parts."""

    phase: ClassVar[Phase] = Phase.GROSS
    of: BandQuantity
    mode: Literal["step", "marginal"]
    bands: Annotated[list[StepBand | MarginalBand], Field(min_length=1)]
    beyond: Beyond | None = None
    classes: list[ClassName] | None = None

    def compile(self, context: Context) -> StepFare | MarginalFare:
        edges = upper_edges(self.bands, "bands", open_end=self.beyond is None)
        if self.mode == "step":
            return self._compile_step(context, edges)
        rows = [band for band in self.bands if isinstance(band, MarginalBand)]
        if len(rows) != len(self.bands) or self.beyond is not None:
            raise ParameterError("bands", self.mode, "marginal bands have per_started and add, no `beyond`")
        return MarginalFare(self.of, class_mask(self.classes), _blocks(rows), context.rule(f"bands.{self.of}"))

    def _compile_step(self, context: Context, edges: list[int]) -> StepFare:
        rows = [band for band in self.bands if isinstance(band, StepBand)]
        if len(rows) != len(self.bands):
            raise ParameterError("bands", self.mode, "step bands have a fare")
        fares = [band.fare for band in rows]
        if self.beyond is not None:
            fares.append(fares[-1])
        lower = [0, *(edge + 1 for edge in edges)]
        rules = [context.rule(f"bands.{self.of}[{first}..]") for first in lower]
        return StepFare(
            self.of,
            class_mask(self.classes),
            np.array(edges, np.int64),
            np.array(fares, np.int64),
            self.beyond,
            rules[0],
        )


def _blocks(rows: list[MarginalBand]) -> StartedBlocks:
    upper = tuple(band.up_to for band in rows)
    lower = (0, *(edge for edge in upper if edge is not None))
    return StartedBlocks(lower, upper, tuple(band.per_started for band in rows), tuple(band.add for band in rows))


def _quantity(chunk: Chunk, of: BandQuantity) -> Ints:
    column: Ints = getattr(chunk.journeys, of)
    return column


@dataclass(frozen=True)
class StepFare:
    """Compiled :class:`Bands` in mode step: ``fares[k]`` up to ``edges[k]``, then ``beyond``."""

    of: BandQuantity
    classes: Bools | None
    edges: Ints
    fares: Ints
    beyond: Beyond | None
    first_rule: int

    def apply(self, chunk: Chunk) -> None:
        quantity = _quantity(chunk, self.of)
        rows = chunk.unpriced(in_range(quantity), self.classes)
        # Few edges: counting those below is faster than a binary search per row.
        band = np.zeros(len(quantity), np.int64)
        for edge in self.edges:
            band += quantity > edge
        fare = self.fares.take(band)
        if self.beyond is not None:
            over = np.where(rows, quantity, 0) - self.edges[-1]
            np.maximum(over, 0, out=over)
            over += self.beyond.per_started - 1
            over //= self.beyond.per_started
            over *= self.beyond.add
            fare += over
        band += self.first_rule
        chunk.set_gross(rows, fare, band)


@dataclass(frozen=True)
class MarginalFare:
    """Compiled :class:`Bands` in mode marginal."""

    of: BandQuantity
    classes: Bools | None
    blocks: StartedBlocks
    rule: int

    def apply(self, chunk: Chunk) -> None:
        quantity = _quantity(chunk, self.of)
        rows = chunk.unpriced(in_range(quantity), self.classes)
        chunk.set_gross(rows, self.blocks.price(np.where(rows, quantity, 0)), self.rule)


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
            _blocks(self.blocks),
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


class MaxFare(TransitStep):
    """What an incomplete journey costs, whatever the steps before found.

    ``discounts: false`` charges it in full to every class.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    fare: Fen
    discounts: Flag

    def compile(self, context: Context) -> IncompleteFare:
        return IncompleteFare(self.fare, self.discounts, context.rule("max_fare"))


@dataclass(frozen=True)
class IncompleteFare:
    """Compiled :class:`MaxFare`."""

    fare: int
    discounts: bool
    rule: int

    def apply(self, chunk: Chunk) -> None:
        rows = chunk.journeys.incomplete != 0
        if not rows.any():
            return
        chunk.set_gross(rows, self.fare, self.rule)
        if not self.discounts:
            chunk.open[rows] = False
