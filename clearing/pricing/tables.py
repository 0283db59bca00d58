"""Fares by what they depend on: the cells of the tables that terminals carry (:mod:`clearing.price_tables`)."""

from __future__ import annotations

import datetime

import tariffs
from clearing.pricing.book import Array, PriceBook
from tariffs import CompiledTariff, TransitJourneys
from tariffs.transit import axes as tariff_axes


def segments_from(book: PriceBook, tariff_id: str, day: datetime.date) -> list[CompiledTariff]:
    """The dated segments of a tariff that are valid on ``day`` or later, in order."""
    compiled = [book.compiled(tariff_id, at) for at in range(len(book.book[tariff_id].segments))]
    return [each for each in compiled if each.last_day >= day]


Axes = tariff_axes.Axes
NoTableError = tariff_axes.NoTableError


def axes_of(book: PriceBook, compiled: CompiledTariff) -> Axes:
    """What a segment's price depends on (raises :class:`NoTableError`)."""
    return tariff_axes.axes_of(book.book[compiled.tariff_id], compiled.segment)


def cell_prices(compiled: CompiledTariff, n: int, **journeys: Array) -> tuple[Array, Array, Array]:
    """(gross fen, fen the card pays, priced) of n journeys by the names of :class:`tariffs.TransitJourneys`."""
    prices = tariffs.price_transit(compiled, TransitJourneys.of(n, **journeys))
    return prices.gross, prices.card_pays, prices.priced
