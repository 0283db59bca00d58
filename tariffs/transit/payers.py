"""Who bears the difference between the gross fare and what the card pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Ints
from tariffs.parameters import Context, FundCode, Ratio, Strict
from tariffs.transit.chunk import Chunk, Phase, TransitStep
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName
from tariffs.transit.kernels import rows as kernels


class FundShare(Strict):
    """The fund behind a class and its share of the concession."""

    fund: FundCode
    per_10000: Ratio


class Split(TransitStep):
    """Funds bear their share of the concession (not of ordinary discounts), the operator the remainder.

    ``largest_remainder`` between two parts: both are rounded down, the odd fen goes to the part that lost
    more, a tie to the fund.
    """

    phase: ClassVar[Phase] = Phase.PAYERS
    funds: Annotated[dict[ClassName, FundShare], Field(min_length=1)]
    remainder: Literal["operator"]
    rounding: Literal["largest_remainder"]

    def compile(self, context: Context) -> FundSplit:
        terms = np.zeros((CLASS_CODES, 2), np.int64)
        for name, term in self.funds.items():
            terms[CardClass[name.upper()]] = (term.fund, term.per_10000)
        return FundSplit(terms)


@dataclass(frozen=True)
class FundSplit:
    """Compiled :class:`Split`: arguments of :func:`tariffs.transit.kernels.rows.split_funds`."""

    terms: Ints

    def apply(self, chunk: Chunk) -> None:
        kernels.split_funds(
            chunk.card_class,
            chunk.condition,
            self.terms,
            chunk.gross,
            chunk.fare,
            chunk.conceded,
            chunk.fund_pays,
            chunk.fund,
        )
