"""Who bears the difference between the gross fare and what the card pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Codes, Ints
from tariffs.parameters import Context, FundCode, Ratio, Strict
from tariffs.rounding import RATIO_ONE, divide
from tariffs.transit.chunk import Chunk, Phase, TransitStep, put
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName


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
        fund = np.zeros(CLASS_CODES, np.uint16)
        share = np.zeros(CLASS_CODES, np.int64)
        for name, term in self.funds.items():
            fund[CardClass[name.upper()]] = term.fund
            share[CardClass[name.upper()]] = term.per_10000
        return FundSplit(fund, share)


@dataclass(frozen=True)
class FundSplit:
    """Compiled :class:`Split`; arrays of shape (256,), one cell per class code."""

    fund: Codes
    share: Ints

    def apply(self, chunk: Chunk) -> None:
        # A later step may have raised the fare again; a fund bears only what the card does not pay.
        conceded = np.minimum(chunk.conceded, chunk.gross - chunk.fare)
        # With two parts, largest remainder with ties to the first is half-up of the first.
        conceded *= chunk.of_class(self.share)
        fund = chunk.of_class(self.fund)
        rows = (fund != 0) & chunk.condition
        put(chunk.fund_pays, rows, divide(conceded, RATIO_ONE, "half_up"))
        fund *= chunk.fund_pays > 0
        put(chunk.fund, rows, fund)
