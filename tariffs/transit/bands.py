"""Full fare by bands of a distance, a duration or the terminal's fare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints, Shorts
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, PositiveQuantity, Quantity, Strict, in_range
from tariffs.transit.chunk import Chunk, Phase, TransitStep
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName
from tariffs.transit.conditions import class_mask
from tariffs.transit.kernels import rows as kernels
from tariffs.transit.scales import MarginalBand, StartedBlocks, division_by, started_blocks, upper_edges


class StepBand(Strict):
    """One fare up to and including an edge."""

    up_to: Quantity | None = None
    fare: Fen


class ClassBand(Strict):
    """Up to and including an edge, one fare per class."""

    up_to: Quantity | None = None
    fares: Annotated[dict[ClassName, Fen], Field(min_length=1)]


class Beyond(Strict):
    """How the fare goes on after the last edge: ``add`` for each started ``per_started``."""

    per_started: PositiveQuantity
    add: Fen


BandQuantity = Literal["distance_m", "duration_s", "gross_fare"]


class Bands(TransitStep):
    """Full fare by bands of a quantity: `step` takes the fare of the band, `marginal` adds up the parts.

    Where the bands give fares per class, each band names the same classes, and the step is for these only.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    of: BandQuantity
    mode: Literal["step", "marginal"]
    bands: Annotated[list[StepBand | ClassBand | MarginalBand], Field(min_length=1)]
    beyond: Beyond | None = None
    classes: list[ClassName] | None = None

    def compile(self, context: Context) -> StepFare | MarginalFare:
        edges = upper_edges(self.bands, "bands", open_end=self.beyond is None)
        if self.mode == "step":
            return self._compile_step(context, edges)
        rows = [band for band in self.bands if isinstance(band, MarginalBand)]
        if len(rows) != len(self.bands) or self.beyond is not None:
            raise ParameterError("bands", self.mode, "marginal bands have per_started and add, no `beyond`")
        return MarginalFare(self.of, class_mask(self.classes), started_blocks(rows), context.rule(f"bands.{self.of}"))

    def _compile_step(self, context: Context, edges: list[int]) -> StepFare:
        rows = [band for band in self.bands if not isinstance(band, MarginalBand)]
        if len(rows) != len(self.bands):
            raise ParameterError("bands", self.mode, "step bands have a fare")
        by_class = _fares_by_class(rows)
        mask = class_mask(self.classes)
        column = np.zeros(CLASS_CODES, np.int32)
        if by_class is None:
            fares = [[band.fare for band in rows if isinstance(band, StepBand)]]
            if mask is not None:
                column[~mask] = -1
        else:
            if mask is not None:
                raise ParameterError("classes", self.classes, "the bands name the classes already")
            fares = list(by_class.values())
            column[:] = -1
            for position, name in enumerate(by_class):
                column[CardClass[name.upper()]] = position
        if self.beyond is not None:
            fares = [[*of_class, of_class[-1]] for of_class in fares]
        lower = [0, *(edge + 1 for edge in edges)]
        rules = [context.rule(f"bands.{self.of}[{first}..]") for first in lower]
        beyond = (0, 0, 0, 0, 0)
        if self.beyond is not None:
            part = self.beyond.per_started
            beyond = (edges[-1], part - 1, *division_by(part), self.beyond.add)
        return StepFare(
            self.of, column, np.array(edges, np.int64), np.array(fares, np.int32).ravel(), beyond, rules[0]
        )


def _fares_by_class(bands: Sequence[StepBand | ClassBand]) -> dict[ClassName, list[int]] | None:
    """For each class the fare of every band; None when every class pays the same."""
    if all(isinstance(band, StepBand) for band in bands):
        return None
    fares: dict[ClassName, list[int]] = {}
    for index, band in enumerate(bands):
        found = band.fares if isinstance(band, ClassBand) else {}
        if index and found.keys() != fares.keys():
            remedy = "every band gives fares for the same classes"
            raise ParameterError(f"bands[{index}].fares", sorted(found), remedy)
        for name, fare in found.items():
            fares.setdefault(name, []).append(fare)
    return fares


@dataclass(frozen=True)
class StepFare:
    """Compiled :class:`Bands` in mode step: arguments of :func:`tariffs.transit.kernels.rows.band_fares`."""

    of: BandQuantity
    column: Shorts
    edges: Ints
    fares: Shorts
    beyond: tuple[int, int, int, int, int]
    first_rule: int

    def apply(self, chunk: Chunk) -> None:
        kernels.band_fares(
            quantity_of(chunk, self.of),
            chunk.condition,
            chunk.refused,
            chunk.card_class,
            self.column,
            self.edges,
            self.fares,
            self.beyond,
            self.first_rule,
            chunk.gross,
            chunk.rule,
            chunk.priced,
        )


@dataclass(frozen=True)
class MarginalFare:
    """Compiled :class:`Bands` in mode marginal."""

    of: BandQuantity
    classes: Bools | None
    blocks: StartedBlocks
    rule: int

    def apply(self, chunk: Chunk) -> None:
        quantity = quantity_of(chunk, self.of)
        rows = chunk.unpriced(in_range(quantity), self.classes)
        chunk.set_gross(rows, self.blocks.price(np.where(rows, quantity, 0)), self.rule)


def quantity_of(chunk: Chunk, of: BandQuantity) -> Ints:
    """The column a band is of, as it stands in the journeys."""
    column: Ints = getattr(chunk.journeys, of)
    return column
