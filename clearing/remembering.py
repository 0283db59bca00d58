"""One batch's journeys of tariffs that remember, between its two passes (docs/clearing-rules.md §6).

Pass 1 scatters what a price needs of them by owner; once everybody is placed they are priced partition by partition,
and each row asks for its price when it is settled. A day without such tariffs passes through here untouched.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import Columns
from clearing.cache_files import KeyRange
from clearing.centre import Centre
from clearing.decide import Placings
from clearing.journey_cache import JourneyCache
from clearing.journeys import Change, Journeys, Known, Outcome, Priced, alone, countable, price_owners
from clearing.pricing import PRICE_COLUMNS, Memory
from clearing.records import Rows
from clearing.spill import Parted, Partitions

Ints = npt.NDArray[np.int64]

MEMORY: Final = "MEMORY"
"""Name under which the tests leave the memory out, to prove that it matters."""


class Fares:
    """Prices by txn_id: the first one of each journey of a batch, and what its later windows change."""

    def __init__(self, outcomes: list[Outcome], remembering: list[int], pool: concurrent.futures.Executor) -> None:
        """Of all owners of a batch; columns are brought into order side by side."""
        self._remembering = remembering
        self._first = _Table.of([priced for outcome in outcomes for priced in outcome.first], pool.map)
        self.steps = _steps([change for outcome in outcomes for change in outcome.changes])
        """Received windows in ascending order, with what their receipts change of rows decided before."""

    def priced(self, rows: Rows) -> Rows:
        """Transit rows with the prices of those that count; all other rows as they are."""
        if not len(self._first.txn_id):
            return rows
        asked = np.flatnonzero(np.isin(rows["tariff"], self._remembering))
        at, found = self._first.find(rows["txn_id"][asked])
        if not found.any():
            return rows
        columns = {}
        for name in PRICE_COLUMNS:
            columns[name] = rows[name].copy()
            columns[name][asked[found]] = self._first.columns[name][at[found]]
        return rows.with_columns(**columns)


@dataclass(frozen=True, slots=True)
class Step:
    """What the receipts of one window change: prices by txn_id; ``own`` = the row was received in that window."""

    window: int
    txn_id: Ints
    own: npt.NDArray[np.bool_]
    prices: Columns


@dataclass(frozen=True, slots=True)
class _Table:
    """Price columns sorted by txn_id."""

    txn_id: Ints
    columns: Columns

    @classmethod
    def of(cls, parts: list[Priced], each: Callable[..., Iterable[npt.NDArray[Any]]] = map) -> _Table:
        """All of some parts; ``each`` calls a function for every column, like ``map``."""
        parts = [part for part in parts if len(part.txn_id)]
        if not parts:
            return cls(np.empty(0, np.int64), {})
        txn_id = np.concatenate([part.txn_id for part in parts])
        order = np.argsort(txn_id)

        def ordered(name: str) -> npt.NDArray[Any]:
            return np.concatenate([part.prices[name] for part in parts])[order]

        return cls(txn_id[order], dict(zip(PRICE_COLUMNS, each(ordered, PRICE_COLUMNS), strict=True)))

    def find(self, txn_id: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        at = np.minimum(np.searchsorted(self.txn_id, txn_id), len(self.txn_id) - 1)
        return at, self.txn_id[at] == txn_id


def _steps(changes: list[Change]) -> list[Step]:
    steps = []
    for window in sorted({change.window for change in changes if len(change.own)}):
        of_window = [change for change in changes if change.window == window and len(change.own)]
        table = _Table.of([change.priced for change in of_window])
        txn_id = np.concatenate([change.priced.txn_id for change in of_window])
        own = np.concatenate([change.own for change in of_window])[np.argsort(txn_id)]
        steps.append(Step(window, table.txn_id, own, table.columns))
    return steps


@dataclass(frozen=True)
class Moved:
    """Journeys decided before whose place competition changed: no longer counting, or counting only now."""

    gone: Ints
    came: list[Rows]
    since: int
    """Journal entry of the first batch that may have counted one of them."""


@dataclass
class _Tariff:
    """One tariff during one batch."""

    number: int
    id: str
    memory: Callable[[KeyRange], Memory]
    gone: Ints
    came: Journeys | None
    touched: Ints
    parts: dict[KeyRange, Memory] = field(default_factory=dict)
    used: bool = False


class Remembering:
    """The journeys of one batch, from any number of blocks, to their prices."""

    def __init__(self, centre: Centre, folder: Path, rows_expected: int, room: int) -> None:
        """Where journeys wait, by the rows announced: in ``room`` bytes of memory or in ``folder``."""
        self._centre, self._book = centre, centre.prices
        self.active = bool(centre.prices.remembering)
        self._together = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._tariffs: list[_Tariff] = []
        if self.active:
            self._cache = JourneyCache(centre)
            self._partitions = Partitions(folder, rows_expected, key="owner", room=room)

    def parted(self, rows: Rows) -> Parted | None:
        """What is carried of one laddered block, positions counting within it; from any thread."""
        found = countable(rows, self._book, self._centre.registers, self._centre.settings) if self.active else None
        if found is None:
            return None
        journeys, position = found
        order = self._partitions.order(journeys["owner"])
        return self._partitions.parted({**journeys.take(order).columns, "position": position[order]})

    def add(self, block: Parted | None, offset: int) -> None:
        """Take what is carried of a block whose first row is row ``offset`` of the batch."""
        if block is not None:
            self._partitions.add(block.after(offset))

    def price(self, pool: concurrent.futures.Executor, placings: Placings, moved: Moved, windows: list[int]) -> Fares:
        """Price everything that counts, once everybody is placed.

        Args:
            pool: threads.
            placings: who stands.
            moved: journeys of earlier runs that competition placed otherwise.
            windows: received windows of the batch, ascending.
        """
        if self.active:
            self._partitions.finish()
            self._tariffs = [self._opened(number, moved) for number in self._book.remembering]
            list(pool.map(lambda number: self._partition(number, placings, windows), range(self._partitions.count)))
            self._partitions.close()
            for tariff in self._tariffs:
                for key_range, memory in tariff.parts.items() if tariff.used else ():
                    self._cache.stage_memory(tariff.id, key_range, memory)
        return Fares(self._outcomes, self._book.remembering, pool)

    @property
    def used(self) -> list[str]:
        """Tariffs of which some journey counts since this batch, or no longer does."""
        return [tariff.id for tariff in self._tariffs if tariff.used]

    def remember(self, batch: int) -> None:
        """Take over what was staged once the batch is committed."""
        if self.active:
            self._cache.take_over(batch)

    def close(self) -> None:
        """Drop what was spilled."""
        if self.active:
            self._partitions.close()

    def _opened(self, number: int, moved: Moved) -> _Tariff:
        tariff_id = self._book.ids[number - 1]
        owners = [self._cache.owners(tariff_id, moved.gone, moved.since)]
        came = []
        for rows in moved.came:
            found = countable(rows, self._book, self._centre.registers, self._centre.settings)
            if found is not None:
                of_tariff = found[0].take(found[0]["tariff"] == number)
                came.append(of_tariff.narrow())
                owners.append(of_tariff.owner)
        joined = Journeys.joined(came) if came else None
        if joined is not None and not len(joined):
            joined = None
        touched = np.unique(np.concatenate(owners))
        return _Tariff(number, tariff_id, self._cache.memory(tariff_id), moved.gone, joined, touched)

    def _partition(self, number: int, placings: Placings, windows: list[int]) -> None:
        """Price one partition; several run side by side and meet only at :attr:`_together`."""
        columns = self._partitions.read(number)
        journeys = None
        if columns is not None:
            standing = placings.stand(columns.pop("position"))
            journeys = Journeys(columns).take(standing)
        for tariff in self._tariffs:
            fresh = None
            if journeys is not None:
                of_tariff = journeys["tariff"] == tariff.number
                fresh = journeys.take(of_tariff).narrow() if of_tariff.any() else None
            self._price(number, tariff, fresh, windows)

    def _price(self, number: int, tariff: _Tariff, fresh: Journeys | None, windows: list[int]) -> None:
        key_range = self._partitions.key_range(number)
        memory = tariff.memory(key_range)
        touched = tariff.touched[key_range.slice(tariff.touched)]
        if fresh is None and not len(touched):
            with self._together:
                tariff.parts[key_range] = memory
            return
        if MEMORY in self._centre.disabled:
            outcome = Outcome(first=[alone(self._book, tariff.id, fresh)] if fresh is not None else [])
        else:
            came = None if tariff.came is None else tariff.came.take(np.isin(tariff.came.owner, touched))
            came = came if came is not None and len(came) else None
            known = Known(
                memory, lambda owners: self._cache.earlier(tariff.id, owners, key_range), tariff.gone, came, touched
            )
            outcome = price_owners(self._book, tariff.id, fresh, known, windows)
            self._stage(key_range, tariff, fresh, came, touched)
        with self._together:
            tariff.used = True
            tariff.parts[key_range] = outcome.memory
            self._outcomes.append(outcome)

    def _stage(
        self, key_range: KeyRange, tariff: _Tariff, fresh: Journeys | None, came: Journeys | None, touched: Ints
    ) -> None:
        counting = [part for part in (fresh, came) if part is not None]
        earlier = self._cache.earlier(tariff.id, touched, key_range) if len(tariff.gone) and len(touched) else None
        gone = None if earlier is None else earlier.take(np.isin(earlier["txn_id"], tariff.gone))
        if not counting and gone is None:
            return
        if not counting:
            assert gone is not None
            counting = [gone.take(slice(0, 0))]
        self._cache.stage(tariff.id, key_range, Journeys.joined(counting), gone)
