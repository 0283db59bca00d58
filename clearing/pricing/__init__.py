"""Asks ``tariffs`` for prices: the only part of clearing that imports it."""

from clearing.pricing.bills import (
    Answer,
    Asked,
    asked_by,
    months_back,
    rebill,
    resettle,
    segments_of,
    trace_bill,
    trace_visit,
)
from clearing.pricing.book import PriceBook
from clearing.pricing.fares import (
    MEMORY_COLUMNS,
    MEMORY_JOURNEY_COLUMNS,
    PRICE_COLUMNS,
    Memory,
    Ordered,
    counting,
    price,
    price_in_order,
    trace_journey,
    trace_last,
)
from clearing.pricing.tables import Axes, NoTableError, axes_of, cell_prices, segments_from
from clearing.pricing.words import column_names, counts_fen
from tariffs import StepTaken

__all__ = [
    "MEMORY_COLUMNS",
    "MEMORY_JOURNEY_COLUMNS",
    "PRICE_COLUMNS",
    "Answer",
    "Asked",
    "Axes",
    "Memory",
    "NoTableError",
    "Ordered",
    "PriceBook",
    "StepTaken",
    "asked_by",
    "axes_of",
    "cell_prices",
    "column_names",
    "counting",
    "counts_fen",
    "months_back",
    "price",
    "price_in_order",
    "rebill",
    "resettle",
    "segments_from",
    "segments_of",
    "trace_bill",
    "trace_journey",
    "trace_last",
    "trace_visit",
]
