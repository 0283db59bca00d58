"""One journey over several operators: what of its money each of them is due.

Parts are rounded down and the odd fen go to the largest remainders, a tie to the party named first; or one
party takes whatever the others leave. Either way they sum to the whole, fen by fen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import QUANTITY_MAX, Code, Context, Fen, Flag, Ratio, Strict
from tariffs.rounding import RATIO_ONE, divide
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.conditions import Condition, When
from tariffs.transit.pairs import PairIndex, pair_index


class DistanceShares(Strict):
    """Parts follow the metres each party carried the rider, from a table of station pairs."""

    table: str
    directed: Flag
    columns: Annotated[dict[Code, str], Field(min_length=2)]
    """Operator → column of metres."""


class Apportion(Strict):
    """Divide ``of`` among operators by fixed shares, by fixed amounts or by distance.

    ``amounts`` are paid in the order written while the money lasts. Shares must add up to 10,000 unless a
    ``remainder`` party takes the rest; amounts need one. The first apportion step whose ``when`` holds, and
    whose table knows the pair, decides a journey.
    """

    of: Literal["gross", "card_pays", "card_and_fund"]
    shares: Annotated[dict[Code, Ratio], Field(min_length=1)] | None = None
    amounts: Annotated[dict[Code, Fen], Field(min_length=1)] | None = None
    distance: DistanceShares | None = None
    remainder: Code | None = None
    rounding: Literal["largest_remainder", "down"]
    """``down`` leaves every odd fen to the remainder party."""
    when: When | None = None

    def compile(self, context: Context) -> Apportionment:
        """Turn parameters into arrays; ParameterError when they do not add up."""
        if sum(way is not None for way in (self.shares, self.amounts, self.distance)) != 1:
            raise ParameterError("shares", None, "give one of shares, amounts, distance")
        if self.amounts is not None and self.remainder is None:
            raise ParameterError("remainder", None, "name the party that takes what the amounts leave")
        if (self.rounding == "down") != (self.remainder is not None):
            raise ParameterError("rounding", self.rounding, "`down` goes with a remainder party, and only with one")
        if self.distance is not None and self.remainder is not None:
            raise ParameterError("remainder", self.remainder, "distances leave nothing: drop it")
        condition = None
        if self.when is not None:
            try:
                condition = self.when.compile()
            except ParameterError as error:
                path = f"when.{error.path}".rstrip(".")
                raise ParameterError(path, error.value, error.remedy) from error
        return Apportionment(self.of, self._division(context), condition)

    def _division(self, context: Context) -> ShareDivision | AmountDivision | DistanceDivision:
        if self.distance is not None:
            columns = self.distance.columns
            names = list(dict.fromkeys(columns.values()))
            if len(names) != len(columns):
                raise ParameterError("distance.columns", names, "each party has a column of its own")
            table = context.table(self.distance.table)
            index, metres = pair_index(table, names, directed=self.distance.directed)
            if metres.max() > QUANTITY_MAX // len(names):
                raise ParameterError("distance.table", int(metres.max()), "distances are metres")
            return DistanceDivision(tuple(columns), index, metres.reshape(len(names), index.size).astype(np.int64))
        parties = dict(self.shares or self.amounts or {})
        if self.remainder is not None and self.remainder in parties:
            raise ParameterError("remainder", self.remainder, "the party takes the rest, it has no part of its own")
        if self.amounts is not None and self.remainder is not None:
            return AmountDivision((*parties, self.remainder), tuple(parties.values()))
        rest = RATIO_ONE - sum(parties.values())
        if rest < 0 or (rest > 0 and self.remainder is None):
            raise ParameterError("shares", sum(parties.values()), "shares add up to 10000, or a remainder is named")
        if self.remainder is not None:
            return ShareDivision((*parties, self.remainder), tuple(parties.values()), rest_to_last=True)
        return ShareDivision(tuple(parties), tuple(parties.values()), rest_to_last=False)


@dataclass(frozen=True)
class ShareDivision:
    """Fixed shares in 1/10,000, one per party, or one per party but the last."""

    parties: tuple[int, ...]
    ratio: tuple[int, ...]
    rest_to_last: bool

    def divide(self, journeys: TransitJourneys, whole: Ints) -> tuple[Ints, Bools]:
        """Parts of shape (rows, parties), and the rows that have any."""
        everywhere = np.ones(len(whole), np.bool_)
        if self.rest_to_last:
            parts = np.empty((len(whole), len(self.parties)), np.int64)
            parts[:, :-1] = divide(whole[:, None] * np.array(self.ratio, np.int64), RATIO_ONE, "down")
            parts[:, -1] = whole - parts[:, :-1].sum(axis=1)
            return parts, everywhere
        weights = np.broadcast_to(np.array(self.ratio, np.int64), (len(whole), len(self.ratio)))
        return largest_remainder(whole, weights), everywhere


@dataclass(frozen=True)
class AmountDivision:
    """Fixed amounts in fen for every party but the last, which takes the rest."""

    parties: tuple[int, ...]
    amount: tuple[int, ...]

    def divide(self, journeys: TransitJourneys, whole: Ints) -> tuple[Ints, Bools]:
        """Parts of shape (rows, parties), and the rows that have any."""
        parts = np.empty((len(whole), len(self.parties)), np.int64)
        left = whole.copy()
        for position, amount in enumerate(self.amount):
            np.minimum(left, amount, out=parts[:, position])
            left -= parts[:, position]
        parts[:, -1] = left
        return parts, np.ones(len(whole), np.bool_)


@dataclass(frozen=True)
class DistanceDivision:
    """Metres per party and station pair, int64 of shape (parties, stations²); −1 = not listed."""

    parties: tuple[int, ...]
    index: PairIndex
    metres: Ints

    def divide(self, journeys: TransitJourneys, whole: Ints) -> tuple[Ints, Bools]:
        """Parts of shape (rows, parties), and the rows whose pair the table holds with some distance."""
        cell, known = self.index.cells(journeys.entry_station, journeys.exit_station)
        weights = self.metres.take(cell, axis=1, mode="clip").T
        known &= (weights >= 0).all(axis=1) & (weights.sum(axis=1) > 0)
        # Rows without distances are divided by some weight all the same, and left out by the caller.
        return largest_remainder(whole, np.where(known[:, None], weights, 1)), known


@dataclass(frozen=True)
class Apportionment:
    """Compiled :class:`Apportion`."""

    of: Literal["gross", "card_pays", "card_and_fund"]
    division: ShareDivision | AmountDivision | DistanceDivision
    condition: Condition | None

    def whole(self, prices: TransitPrices) -> Ints:
        """What is divided, fen per row."""
        if self.of == "gross":
            return prices.gross
        return prices.card_pays if self.of == "card_pays" else prices.card_pays + prices.fund_pays

    def rows(self, journeys: TransitJourneys) -> Bools:
        """Journeys the step is for."""
        if self.condition is None:
            return np.ones(len(journeys), np.bool_)
        return self.condition.of(journeys)[0]


def largest_remainder(whole: Ints, weights: Ints) -> Ints:
    """``whole`` (rows,) divided in the proportion of ``weights`` (rows, parties) ≥ 0, not all 0 in a row."""
    total = weights.sum(axis=1)[:, None]
    exact = whole[:, None] * weights
    parts: Ints = exact // total
    rest = exact - parts * total
    odd = whole - parts.sum(axis=1)
    # Stable: of equal remainders the party named first is served first.
    rank = np.argsort(np.argsort(-rest, axis=1, kind="stable"), axis=1, kind="stable")
    parts += rank < odd[:, None]
    return parts
