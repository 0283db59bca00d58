"""Steps that say how much of the gross fare the card pays: concessions, discounts, transfers, rounding.

A concession that is ``final`` closes its rows: later discounts pass them by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints, Shorts
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, Flag, PositiveQuantity, Quantity, Ratio, Strict
from tariffs.rounding import RATIO_ONE, RoundingMode, added, divide
from tariffs.transit.chunk import Chunk, Phase, TransitStep, put
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName
from tariffs.transit.conditions import class_mask
from tariffs.transit.fares import column_of_class
from tariffs.transit.kernels import rows as kernels
from tariffs.transit.pairs import PairIndex, pair_index
from tariffs.transit.scales import RoundTo, parts_between, share_of, upper_edges


class ClassTerm(Strict):
    """A class pays ``per_10000`` of the gross fare, or ``fare``; never more than the gross fare.

    A share below ``at_least`` is raised to it.
    """

    per_10000: Ratio | None = None
    fare: Fen | None = None
    at_least: Fen | None = None
    final: Flag


class Concession(TransitStep):
    """Reduced fares by card class; what the classes not named here pay must be said in ``others``."""

    phase: ClassVar[Phase] = Phase.CARD
    classes: Annotated[dict[ClassName, ClassTerm], Field(min_length=1)]
    others: Literal["full_fare", "not_covered"]
    rounding: RoundingMode
    to: RoundTo = 1

    def compile(self, context: Context) -> ClassConcession:
        terms = np.zeros((CLASS_CODES, 5), np.int64)
        for name, term in self.classes.items():
            if (term.per_10000 is None) == (term.fare is None):
                raise ParameterError(f"classes.{name}", term.model_dump(), "give per_10000 or fare, not both")
            if term.fare is not None and term.at_least is not None:
                raise ParameterError(f"classes.{name}.at_least", term.at_least, "only a share has a least amount")
            rule = context.rule(f"concession.{name}")
            amounts = (term.per_10000 or 0, term.fare or 0, term.at_least or 0)
            terms[CardClass[name.upper()]] = (rule, *amounts, term.final)
        divisor = RATIO_ONE * self.to
        return ClassConcession(terms, (self.to, divisor, *added(divisor, self.rounding)), self.others == "full_fare")


@dataclass(frozen=True)
class ClassConcession:
    """Compiled :class:`Concession`: arguments of :func:`tariffs.transit.kernels.rows.concede`."""

    terms: Ints
    rounding: tuple[int, int, int, bool]
    others_pay: bool

    def apply(self, chunk: Chunk) -> None:
        kernels.concede(
            chunk.card_class,
            chunk.condition,
            self.terms,
            self.rounding,
            self.others_pay,
            chunk.gross,
            chunk.fare,
            chunk.conceded,
            chunk.rule,
            chunk.priced,
            chunk.open,
        )


class ConcessionLookup(TransitStep):
    """Reduced fares by station pair and class, for pairs and classes the table holds; always final."""

    phase: ClassVar[Phase] = Phase.CARD
    table: str
    directed: Flag
    columns: Annotated[dict[ClassName, str], Field(min_length=1)]

    def compile(self, context: Context) -> PairConcession:
        names = list(dict.fromkeys(self.columns.values()))
        index, fares = pair_index(context.table(self.table), names, directed=self.directed)
        columns = column_of_class(self.columns, names)
        return PairConcession(index, fares, columns, context.rule(f"concession_lookup.{self.table}"))


@dataclass(frozen=True)
class PairConcession:
    """Compiled :class:`ConcessionLookup`; fares as in :class:`tariffs.transit.fares.PairFare`."""

    index: PairIndex
    fares: Shorts
    column_of_class: Shorts
    rule: int

    def apply(self, chunk: Chunk) -> None:
        journeys = chunk.journeys
        column = chunk.of_class(self.column_of_class)
        rows = np.flatnonzero((column >= 0) & chunk.takers() & chunk.priced)
        cell, known = self.index.cells(journeys.entry_station[rows], journeys.exit_station[rows])
        fare = self.fares.take(column[rows] * self.index.size + cell, mode="clip")
        known &= fare >= 0
        rows = rows[known]
        chunk.fare[rows] = np.minimum(fare[known], chunk.gross[rows])
        chunk.conceded[rows] = chunk.gross[rows] - chunk.fare[rows]
        chunk.rule[rows] = self.rule
        chunk.open[rows] = False


class DiscountBand(Strict):
    """The part of the gross fare inside the band is paid at ``per_10000``."""

    up_to: Quantity | None = None
    per_10000: Ratio


class Discount(TransitStep):
    """Marginal discount inside one fare; replaces what the card pays on rows that still take discounts."""

    phase: ClassVar[Phase] = Phase.CARD
    bands: Annotated[list[DiscountBand], Field(min_length=1)]
    rounding: RoundingMode

    def compile(self, context: Context) -> MarginalDiscount:
        edges = upper_edges(self.bands, "bands", open_end=True)
        return MarginalDiscount(
            (0, *edges),
            tuple(band.per_10000 for band in self.bands),
            self.rounding,
            context.rule("discount"),
        )


@dataclass(frozen=True)
class MarginalDiscount:
    """Compiled :class:`Discount`: from ``lower[k]`` fen on, ``ratio[k]`` of the fare is paid."""

    lower: tuple[int, ...]
    ratio: tuple[int, ...]
    rounding: RoundingMode
    rule: int

    def apply(self, chunk: Chunk) -> None:
        # Σ (rate_k − rate_{k−1}) · max(gross − lower_k, 0): the same sum with one clip per band, not two.
        paid = chunk.gross * self.ratio[0]
        for band in range(1, len(self.lower)):
            part = parts_between(chunk.gross, self.lower[band], None)
            part *= self.ratio[band] - self.ratio[band - 1]
            paid += part
        chunk.set_fare(chunk.takers(), divide(paid, RATIO_ONE, self.rounding), self.rule)


class Factor(TransitStep):
    """A ratio of what the card pays so far."""

    phase: ClassVar[Phase] = Phase.CARD
    per_10000: Ratio
    rounding: RoundingMode
    to: RoundTo = 1

    def compile(self, context: Context) -> RatioFactor:
        return RatioFactor(self.per_10000, self.rounding, self.to, context.rule("factor"))


@dataclass(frozen=True)
class RatioFactor:
    """Compiled :class:`Factor`."""

    ratio: int
    rounding: RoundingMode
    to: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        share = share_of(chunk.fare, self.ratio, self.to, self.rounding)
        # Rounding to a multiple may lift a fare above what it is a share of.
        if self.to != 1:
            np.minimum(share, chunk.fare, out=share)
        chunk.set_fare(chunk.takers(), share, self.rule)


class Minus(TransitStep):
    """A fixed amount off what the card pays so far, down to ``floor``."""

    phase: ClassVar[Phase] = Phase.CARD
    amount: Fen
    floor: Fen

    def compile(self, context: Context) -> AmountOff:
        return AmountOff(self.amount, self.floor, context.rule("minus"))


@dataclass(frozen=True)
class AmountOff:
    """Compiled :class:`Minus`."""

    amount: int
    floor: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        chunk.set_fare(chunk.takers(), _less(chunk.fare, self.amount, self.floor), self.rule)


class Transfer(TransitStep):
    """A fixed amount off a flagged transfer, down to ``floor``; a transfer rule always names its classes."""

    phase: ClassVar[Phase] = Phase.CARD
    minus: Fen
    floor: Fen
    classes: Annotated[list[ClassName], Field(min_length=1)]

    def compile(self, context: Context) -> TransferDiscount:
        return TransferDiscount(self.minus, self.floor, class_mask(self.classes), context.rule("transfer"))


@dataclass(frozen=True)
class TransferDiscount:
    """Compiled :class:`Transfer`."""

    minus: int
    floor: int
    classes: Bools | None
    rule: int

    def apply(self, chunk: Chunk) -> None:
        rows = (chunk.journeys.transfer != 0) & chunk.takers()
        if self.classes is not None:
            rows &= chunk.of_class(self.classes)
        chunk.set_fare(rows, _less(chunk.fare, self.minus, self.floor), self.rule)


class Round(TransitStep):
    """Round what the card pays to a multiple of ``to`` fen, never above the gross fare."""

    phase: ClassVar[Phase] = Phase.CARD
    to: PositiveQuantity
    mode: RoundingMode

    def compile(self, context: Context) -> RoundFare:
        return RoundFare(self.to, self.mode)


@dataclass(frozen=True)
class RoundFare:
    """Compiled :class:`Round`; it changes no rule id, since it decides nothing by itself."""

    to: int
    mode: RoundingMode

    def apply(self, chunk: Chunk) -> None:
        rounded = divide(chunk.fare, self.to, self.mode) * self.to
        put(chunk.fare, chunk.condition, np.minimum(rounded, chunk.gross))


def _less(fare: Ints, amount: int, floor: int) -> Ints:
    """``fare − amount``, not below ``floor``."""
    # A fare already below the floor stays as it is: a discount never raises it.
    return np.minimum(fare, np.maximum(fare - amount, floor))
