"""Station pairs as cells of a dense square, so that a look-up is two gathers and no search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Ints, Shorts
from tariffs.errors import ParameterError
from tariffs.parameters import QUANTITY_MAX
from tariffs.tables import Table

_SPAN_MAX = 1 << 20
"""Widest range of station ids that gets a direct table (4 MiB); wider ones are searched."""


@dataclass(frozen=True)
class StationIndex:
    """Numbers of stations (or lines, operators, zones) → their place in a short sorted list.

    ``stations`` is sorted int64 of shape (n,). ``dense`` (int32) maps ``id − stations[0]`` to the index, −1 between
    ids, and is empty when the ids are spread too wide.
    """

    stations: Ints
    dense: Shorts

    def indices(self, station: Ints) -> Ints:
        """Index of each station, −1 for a null or unknown one."""
        if len(self.dense):
            # As unsigned, an id below the first one is huge: one comparison finds both kinds of stranger. The
            # last cell of `dense` holds −1 for them.
            offset = (station - self.stations[0]).view(np.uint64)
            np.minimum(offset, np.uint64(len(self.dense) - 1), out=offset)
            index: Ints = self.dense.take(offset.view(np.int64), mode="clip").astype(np.int64)
            return index
        position = np.searchsorted(self.stations, station)
        np.minimum(position, len(self.stations) - 1, out=position)
        return np.where(self.stations[position] == station, position, -1)


@dataclass(frozen=True)
class PairIndex(StationIndex):
    """Station ids → cell ``entry · n + exit`` of an n × n square."""

    @property
    def size(self) -> int:
        """Cells of the square."""
        return len(self.stations) ** 2

    def cells(self, entry: Ints, exit_: Ints) -> tuple[Ints, Bools]:
        """Cell of each pair, and whether both stations are known; else the cell means nothing."""
        first, second = self.indices(entry), self.indices(exit_)
        known = (first | second) >= 0
        first *= len(self.stations)
        first += second
        np.maximum(first, 0, out=first)
        return first, known


def station_index(stations: Ints) -> StationIndex:
    """Index of the distinct ``stations``, int64 of any order, at least one."""
    distinct = np.unique(stations)
    return StationIndex(distinct, _dense(distinct))


def pair_index(table: Table, columns: list[str], *, directed: bool) -> tuple[PairIndex, Shorts]:
    """Index of a table with the columns ``entry`` and ``exit``, and its fares.

    Fares are int32 of shape (len(columns) · n²,), −1 for a pair the table does not hold. Raises
    ParameterError for an empty table, a negative or absurd fare or a pair that stands twice (in either order unless
    ``directed``).
    """
    entry, exit_ = table.column("entry"), table.column("exit")
    if not len(entry):
        raise ParameterError("table", table.name, "the table is empty")
    stations = np.unique(np.concatenate([entry, exit_]))
    index = PairIndex(stations, _dense(stations))
    n = len(stations)
    first, second = np.searchsorted(stations, entry), np.searchsorted(stations, exit_)
    key = first * n + second if directed else np.minimum(first, second) * n + np.maximum(first, second)
    _, counts = np.unique(key, return_counts=True)
    if (counts > 1).any():
        row = int(np.flatnonzero(np.isin(key, np.unique(key)[counts > 1]))[0])
        pair = (int(entry[row]), int(exit_[row]))
        raise ParameterError("table", pair, f"the pair stands twice in {table.name}")
    fares = np.full((len(columns), n, n), -1, np.int32)
    for position, name in enumerate(columns):
        values = table.column(name)
        if (values < 0).any():
            raise ParameterError("columns", name, "fares are not negative: leave a pair out instead")
        if (values > QUANTITY_MAX).any():
            raise ParameterError("columns", name, f"values go up to {QUANTITY_MAX}")
        fares[position, first, second] = values
        if not directed:
            fares[position, second, first] = values
    return index, fares.ravel()


def _dense(stations: Ints) -> Shorts:
    span = int(stations[-1]) - int(stations[0])
    if span >= _SPAN_MAX:
        return np.empty(0, np.int32)
    dense = np.full(span + 2, -1, np.int32)
    dense[stations - stations[0]] = np.arange(len(stations))
    return dense
