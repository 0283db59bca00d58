"""Price journeys: stateless, column by column in chunks that stay in cache."""

from __future__ import annotations

import numpy as np

from tariffs.compiler import CompiledTariff
from tariffs.transit.chunk import Chunk
from tariffs.transit.columns import TransitJourneys, TransitPrices

CHUNK_ROWS = 8_192
"""Rows per chunk: the two dozen columns in work fit the second-level cache."""


def price_transit(compiled: CompiledTariff, journeys: TransitJourneys) -> TransitPrices:
    """Amounts per payer, deciding rule and segment of each journey, in the order of ``journeys``.

    Pure: every row depends on itself alone, so any split or order of the rows gives the same answers.
    Rows the tariff does not cover come back with ``priced`` false and zero amounts.
    Raises TariffKindError when the tariff is not a transit tariff.
    """
    program = compiled.transit_program()
    prices = TransitPrices.zeros(len(journeys))
    prices.segment[:] = compiled.segment
    for first in range(0, len(journeys), CHUNK_ROWS):
        chunk = Chunk.over(journeys, prices, slice(first, first + CHUNK_ROWS))
        for operation in program.full_fare:
            operation.apply(chunk)
        chunk.charge_gross()
        for operation in program.reductions:
            operation.apply(chunk)
        _close(chunk)
    return prices


def _close(chunk: Chunk) -> None:
    """The operator bears what neither card nor funds pay; rows without a price carry no amounts."""
    np.subtract(chunk.gross, chunk.fare, out=chunk.operator_bears)
    np.subtract(chunk.operator_bears, chunk.fund_pays, out=chunk.operator_bears)
    if chunk.priced.all():
        return
    for column in (chunk.gross, chunk.fare, chunk.fund_pays, chunk.operator_bears, chunk.fund, chunk.rule):
        np.multiply(column, chunk.priced, out=column)
