"""Priced tables for terminals: every cell asked of the engine, so that a look-up and the engine cannot differ.

A terminal gets no tariff, only its answers. Axes come from what the tariff's steps read; bands of time and distance
are found by asking for every second and metre up to the horizon.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.parameters import NO_PRICE, FareTable
from card_io.records import NULL
from clearing.pricing import Axes, NoTableError, PriceBook, axes_of, cell_prices, segments_from

CLASSES: Final = tuple(range(9))
"""Concession classes of the register (``tariffs.CardClass``)."""

HORIZON: Final = {"duration_s": 7 * 86_400, "distance_m": 300_000}
"""Longest rental and farthest ride a table prices; beyond it a person does."""

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


def tables_of(
    book: PriceBook, tariff_by_mode: dict[int, str], day: datetime.date
) -> tuple[list[FareTable], dict[str, str]]:
    """The tables of a merchant's tariffs from ``day`` on, and per tariff without a table the reason."""
    tables, without = [], {}
    for mode, tariff_id in tariff_by_mode.items():
        if tariff_id not in book.book:
            without[tariff_id] = "the centre has no such tariff"
            continue
        for compiled in segments_from(book, tariff_id, day):
            try:
                tables.append(_table(compiled, axes_of(book, compiled), mode))
            except NoTableError as reason:
                without[tariff_id] = str(reason)
    return tables, without


def _table(compiled: Any, axes: Axes, mode: int) -> FareTable:
    edges = _edges(compiled, axes, mode)
    stations: list[int] = list(axes.stations)
    cells = _cells(axes, edges)
    rows: dict[bytes, int] = {}
    distinct: list[Ints] = []
    group = []
    for card_class in CLASSES:
        of_class = []
        for transfer in (0, 1):
            prices = _prices(compiled, mode, card_class, transfer, cells)
            at = rows.setdefault(prices.tobytes(), len(rows))
            if at == len(distinct):
                distinct.append(prices)
            of_class.append(at)
        group.append(of_class)
    return FareTable(
        mode=mode,
        tariff=compiled.tariff_id,
        first_day=compiled.first_day.isoformat(),
        last_day=compiled.last_day.isoformat(),
        classes=list(CLASSES),
        lines=list(axes.lines),
        stations=stations,
        quantity=axes.quantity,  # type: ignore[arg-type]
        edges=edges,
        group=group,
        card_pays=[prices[0].tolist() for prices in distinct],
        gross=[prices[1].tolist() for prices in distinct],
    )


def _cells(axes: Axes, edges: list[int]) -> dict[str, Ints]:
    """Journeys of all cells in the order of :meth:`FareTable.cell`."""
    stations = [*axes.stations, NULL]
    bands = edges or [NULL]
    grid = np.meshgrid([*axes.lines, NULL], stations, stations, bands, indexing="ij")
    line, entry, exit_, band = (axis.reshape(-1).astype(np.int64) for axis in grid)
    cells = {"line": line, "entry_station": entry, "exit_station": exit_}
    if axes.quantity is not None:
        cells[axes.quantity] = band
    cells["incomplete"] = ((entry == NULL) | (exit_ == NULL)).astype(np.int64) * bool(axes.stations)
    return cells


def _prices(compiled: Any, mode: int, card_class: int, transfer: int, cells: dict[str, Ints]) -> Ints:
    """int64[2, cells]: what the card pays, and the full price; :data:`NO_PRICE` where there is none."""
    n = len(cells["line"])
    journeys: dict[str, Array] = {
        **cells,
        "mode": np.full(n, mode, np.uint8),
        "card_class": np.full(n, card_class, np.uint8),
        "transfer": np.full(n, transfer, np.uint8),
        "incomplete": cells["incomplete"].astype(np.uint8),
    }
    gross, card_pays, priced = cell_prices(compiled, n, **journeys)
    return np.where(priced, np.stack([card_pays, gross]), NO_PRICE).astype(np.int64)


def _edges(compiled: Any, axes: Axes, mode: int) -> list[int]:
    """Upper ends of the bands in which no price changes, whatever line, class and transfer flag."""
    if axes.quantity is None:
        return []
    values = np.arange(HORIZON[axes.quantity] + 1, dtype=np.int64)
    changes = np.zeros(len(values), bool)
    changes[-1] = True
    empty = np.full(len(values), NULL, np.int64)
    for line in (*axes.lines, NULL):
        columns = {"line": np.full(len(values), line, np.int64), "entry_station": empty, "exit_station": empty}
        columns |= {axes.quantity: values, "incomplete": np.zeros(len(values), np.int64)}
        for card_class in CLASSES:
            for transfer in (0, 1):
                prices = _prices(compiled, mode, card_class, transfer, columns)
                changes[:-1] |= (prices[:, 1:] != prices[:, :-1]).any(axis=0)
    return [int(value) for value in values[changes]]
