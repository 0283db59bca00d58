"""Fares by zone: a table of zone pairs, or the number of zones touched.

Whatever the fare comes from, the step notes the lowest and highest zone of each journey, which caps by widest
zone ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints, Shorts
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, Flag, Strict
from tariffs.tables import Table
from tariffs.transit.chunk import UNKNOWN_ZONE, Chunk, Phase, TransitStep, put
from tariffs.transit.fares import FareColumns, column_of_class
from tariffs.transit.pairs import PairIndex, StationIndex, pair_index, station_index

ZONES_MAX = 63
"""Zone codes that caps and travelcards can tell apart: bits of an int64."""
ZONE_NOTED_MAX = 127
"""Zones are noted up to here; no cap reaches that far."""


class ZonesBetween(Strict):
    """A table of station pairs with ``zone_low`` and ``zone_high``, for lines that dip into an inner zone."""

    table: str
    directed: Flag


class ZoneFares(Strict):
    """A table of zone pairs in the columns ``entry`` and ``exit``; which column holds the fare of which class."""

    table: str
    directed: Flag
    columns: FareColumns


class Zones(TransitStep):
    """The zones of a journey and, if given, the full fare they decide.

    ``zone_of`` names a table with the columns ``station`` and ``zone``; ``zones_between`` a table of pairs.
    ``by_count`` lists the fare of a journey that touches one zone, two zones and so on, for zones numbered
    outwards: from a to b it touches |a − b| + 1. More zones than the list has are not covered.
    """

    phase: ClassVar[Phase] = Phase.GROSS
    zone_of: str | None = None
    zones_between: ZonesBetween | None = None
    fares: ZoneFares | None = None
    by_count: Annotated[list[Fen], Field(min_length=1)] | None = None

    def compile(self, context: Context) -> ZoneFare:
        if self.fares is not None and self.by_count is not None:
            raise ParameterError("by_count", self.by_count, "give fares or by_count, not both")
        rule = context.rule("zones")
        price: ZonePairFare | ZoneCountFare | None = None
        if self.by_count is not None:
            price = ZoneCountFare(np.array(self.by_count, np.int64), rule)
        elif self.fares is not None:
            names = list(dict.fromkeys(self.fares.columns.values()))
            index, cells = pair_index(context.table(self.fares.table), names, directed=self.fares.directed)
            price = ZonePairFare(index, cells, column_of_class(self.fares.columns, names), rule)
        return ZoneFare(self._source(context), price)

    def _source(self, context: Context) -> ZoneOfStation | ZonesOfPair:
        if self.zone_of is not None and self.zones_between is None:
            return _zone_of_station(context.table(self.zone_of))
        if self.zones_between is not None and self.zone_of is None:
            between = self.zones_between
            table = context.table(between.table)
            index, zones = pair_index(table, ["zone_low", "zone_high"], directed=between.directed)
            if (zones[: index.size] > zones[index.size :]).any():
                raise ParameterError("zones_between.table", table.name, "zone_low is not above zone_high")
            return ZonesOfPair(index, zones)
        raise ParameterError("zone_of", self.zone_of, "give zone_of or zones_between, one of them")


@dataclass(frozen=True)
class ZoneOfStation:
    """Station → zone; ``zone`` is int64 of shape (stations,)."""

    index: StationIndex
    zone: Ints

    def zones(self, chunk: Chunk) -> tuple[Ints, Ints, Bools]:
        """Zone of entry, zone of exit, and whether both are known."""
        entry = self.index.indices(chunk.journeys.entry_station)
        exit_ = self.index.indices(chunk.journeys.exit_station)
        known: Bools = (entry | exit_) >= 0
        return self.zone.take(entry, mode="clip"), self.zone.take(exit_, mode="clip"), known


@dataclass(frozen=True)
class ZonesOfPair:
    """Station pair → lowest and highest zone; ``extent`` is int32 of shape (2 · stations²,), −1 = not listed."""

    index: PairIndex
    extent: Shorts

    def zones(self, chunk: Chunk) -> tuple[Ints, Ints, Bools]:
        """Lowest zone, highest zone, and whether the pair is known."""
        cell, known = self.index.cells(chunk.journeys.entry_station, chunk.journeys.exit_station)
        low = self.extent.take(cell, mode="clip")
        high = self.extent.take(cell + self.index.size, mode="clip")
        known &= low >= 0
        return low.astype(np.int64), high.astype(np.int64), known


@dataclass(frozen=True)
class ZonePairFare:
    """Fares as in :class:`tariffs.transit.fares.PairFare`, of zones instead of stations."""

    index: PairIndex
    fares: Shorts
    column_of_class: Shorts
    rule: int

    def fare(self, chunk: Chunk, first: Ints, second: Ints) -> tuple[Shorts, Bools]:
        """Fen, and where there is a fare."""
        cell, known = self.index.cells(first, second)
        column = chunk.of_class(self.column_of_class)
        known &= column >= 0
        fare = self.fares.take(column * self.index.size + cell, mode="clip")
        known &= fare >= 0
        return fare, known


@dataclass(frozen=True)
class ZoneCountFare:
    """``fares[k]`` for k + 1 zones."""

    fares: Ints
    rule: int

    def fare(self, chunk: Chunk, first: Ints, second: Ints) -> tuple[Ints, Bools]:
        """Fen, and where there is a fare."""
        crossed = np.abs(first - second)
        return self.fares.take(crossed, mode="clip"), crossed < len(self.fares)


@dataclass(frozen=True)
class ZoneFare:
    """Compiled :class:`Zones`."""

    source: ZoneOfStation | ZonesOfPair
    price: ZonePairFare | ZoneCountFare | None

    def apply(self, chunk: Chunk) -> None:
        first, second, known = self.source.zones(chunk)
        rows = known & chunk.condition & (chunk.zone_low == UNKNOWN_ZONE)
        put(chunk.zone_low, rows, np.minimum(np.minimum(first, second), ZONE_NOTED_MAX))
        put(chunk.zone_high, rows, np.minimum(np.maximum(first, second), ZONE_NOTED_MAX))
        if self.price is None:
            return
        fare, covered = self.price.fare(chunk, first, second)
        chunk.set_gross(chunk.unpriced(covered & known, classes=None), fare, self.price.rule)


def _zone_of_station(table: Table) -> ZoneOfStation:
    station, zone = table.column("station"), table.column("zone")
    if not len(station):
        raise ParameterError("zone_of", table.name, "the table is empty")
    if (zone < 0).any():
        raise ParameterError("zone_of", int(zone.min()), "zones are numbered from 0")
    index = station_index(station)
    if len(index.stations) != len(station):
        distinct, counts = np.unique(station, return_counts=True)
        raise ParameterError("zone_of", int(distinct[counts > 1][0]), f"the station stands twice in {table.name}")
    return ZoneOfStation(index, zone[np.argsort(station)])


def zone_fares(table: Table, columns: list[str], path: str) -> tuple[Ints, int]:
    """Fares of zone ranges, int64 of shape (columns, span, span), −1 = not listed, and the number of zone codes.

    The table has the columns ``entry`` and ``exit``, each pair once for both ways. Raises ParameterError for
    zones above the highest code or a pair that stands twice.
    """
    index, fares = pair_index(table, columns, directed=False)
    span = int(index.stations[-1]) + 1
    if span > ZONES_MAX or index.stations[0] < 0:
        raise ParameterError(f"{path}.table", table.name, f"zones are numbered from 0 to {ZONES_MAX - 1}")
    wide = np.full((len(columns), span, span), -1, np.int64)
    wide[:, index.stations[:, None], index.stations] = fares.reshape(len(columns), *[len(index.stations)] * 2)
    return wide, span


class Extension(TransitStep):
    """What of a journey lies outside the zones of the holder's travelcard: single fares of the zones left.

    ``held`` names a table with the columns ``product``, ``zone_low`` and ``zone_high``, ``zone_of`` one with
    ``station`` and ``zone``, and ``also`` where a station on a boundary counts to a second zone (−1 = none) if
    that lies inside the travelcard and the first does not. ``fares`` has the columns ``entry``, ``exit`` (zones)
    and ``column``. The single fare of the whole journey is paid where that is less. Later caps see the zones left.
    """

    phase: ClassVar[Phase] = Phase.CARD
    held: str
    zone_of: str
    fares: str
    column: str

    def compile(self, context: Context) -> ZonesBeside:
        held = context.table(self.held)
        low, high = held.column("zone_low"), held.column("zone_high")
        if (low < 0).any() or (low > high).any() or int(high.max(initial=0)) >= ZONES_MAX:
            raise ParameterError("held", self.held, f"write 0 <= zone_low <= zone_high < {ZONES_MAX}")
        products = station_index(held.column("product"))
        if len(products.stations) != len(low):
            raise ParameterError("held", self.held, "a product stands twice")
        by_product = np.argsort(held.column("product"))
        zones = context.table(self.zone_of)
        source = _zone_of_station(zones)
        also = np.full(len(source.zone), UNKNOWN_ZONE, np.int64)
        if "also" in zones.columns:
            also = zones.column("also")[np.argsort(zones.column("station"))]
        fares, span = zone_fares(context.table(self.fares), [self.column], "fares")
        rule = context.rule(f"extension.{self.held}")
        return ZonesBeside(products, low[by_product], high[by_product], source, also, fares[0], span, rule)


@dataclass(frozen=True)
class ZonesBeside:
    """Compiled :class:`Extension`: ``low`` and ``high`` by product, ``also`` by station, ``fares`` (span, span)."""

    products: StationIndex
    low: Ints
    high: Ints
    source: ZoneOfStation
    also: Ints
    fares: Ints
    span: int
    rule: int

    def apply(self, chunk: Chunk) -> None:
        held = self.products.indices(chunk.journeys.product)
        rows = np.flatnonzero((held >= 0) & chunk.takers() & chunk.priced)
        card_low, card_high = self.low[held[rows]], self.high[held[rows]]
        ends = []
        for station in (chunk.journeys.entry_station[rows], chunk.journeys.exit_station[rows]):
            place = self.source.index.indices(station)
            zone, also = self.source.zone.take(place, mode="clip"), self.also.take(place, mode="clip")
            outside = (zone < card_low) | (zone > card_high)
            zone = np.where(outside & (also >= card_low) & (also <= card_high), also, zone)
            ends.append(np.where(place >= 0, zone, self.span))
        first, last = np.minimum(*ends), np.maximum(*ends)
        # A journey of unknown zones is not cheaper for any travelcard.
        known = last < self.span
        rows, first, last, card_low, card_high = (x[known] for x in (rows, first, last, card_low, card_high))
        below, above = first < card_low, last > card_high
        left = np.where(below, self._fare(first, np.minimum(last, card_low - 1)), 0)
        right = np.where(above, self._fare(np.maximum(first, card_high + 1), last), 0)
        whole = chunk.fare[rows]
        beside = np.where((left < 0) | (right < 0), whole, np.minimum(left + right, whole))
        chunk.fare[rows] = beside
        chunk.rule[rows] = self.rule
        chunk.held_low[rows], chunk.held_high[rows] = card_low, card_high
        inside = ~below & ~above
        low = np.where(below, first, np.maximum(first, card_high + 1))
        high = np.where(above, last, np.minimum(last, card_low - 1))
        chunk.zone_low[rows] = np.where(inside, UNKNOWN_ZONE, low)
        chunk.zone_high[rows] = np.where(inside, UNKNOWN_ZONE, high)

    def _fare(self, low: Ints, high: Ints) -> Ints:
        """Single fare of zones ``low`` to ``high``; −1 where it is not listed."""
        cell = np.maximum(low, 0) * self.span + np.minimum(np.maximum(high, 0), self.span - 1)
        fare: Ints = self.fares.ravel().take(cell, mode="clip")
        return fare
