"""What waits between the two passes: in memory for a small day, in ``work/spill`` for a large one.

Pass 2 compares few columns of many rows and writes many columns of each row, so the two go apart. :class:`Partitions`
scatters what is compared by the high bits of ``card_id``: all rows of a card meet in one partition, and memory stays
bounded by the largest. :class:`Shelf` keeps the rows themselves, in the order of arrival, until their segment is
written; of a large day the first ones wait packed in memory. Spilled files are private, carry no card numbers and are
deleted.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.records import Columns, Service
from clearing.packing import Packing, pack_all, unpack_all
from clearing.records import Rows, empty_bills

IN_MEMORY_ROWS: Final = 1 << 21
"""A batch up to this size spills nothing."""

IN_MEMORY_BYTES: Final = 768 << 20
"""What the shelf of a larger batch keeps packed in memory before it turns to the disk, which has more to do."""

PARTITION_ROWS: Final = 1 << 19
"""Rows aimed at per partition: near 50 MB of what is compared; as many are in memory as threads run."""

ONE_PARTITION_ROWS: Final = 1 << 18
"""A batch up to this size is one partition; a larger one in memory is two, decided side by side."""

SCATTERED_ROWS: Final = 1 << 18
"""Rows gathered before they are scattered to disk: small writes would cost more than their bytes."""


_SQUEEZED: Final = pa.ipc.IpcWriteOptions(compression="lz4")
"""Columns that are equal throughout vanish; the disk is slower than the codec."""

Bounds = npt.NDArray[np.intp]
"""Where each partition begins in a block's rows, and their number."""


class Partitions:
    """Columns of one batch by partition; the columns of all blocks have the same names and dtypes."""

    def __init__(self, folder: Path, rows_expected: int, key: str = "card_id") -> None:
        """Choose the number of partitions, a power of two, for the rows the manifests announce.

        ``key`` names the uint64 column by whose high bits rows are scattered.
        """
        self._key = key
        self.bits = 1 if rows_expected > ONE_PARTITION_ROWS else 0
        self._on_disk = rows_expected > IN_MEMORY_ROWS
        if self._on_disk:
            self.bits = int(np.ceil(np.log2(rows_expected / PARTITION_ROWS)))
        self._folder = folder
        self._gathered: list[tuple[Columns, Bounds]] = []
        self._writers: dict[Path, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def count(self) -> int:
        """Number of partitions."""
        return 1 << self.bits

    def cards(self, number: int) -> tuple[np.uint64, np.uint64]:
        """First and last card of a partition, both included."""
        width = 1 << (64 - self.bits)
        return np.uint64(number * width), np.uint64((number + 1) * width - 1)

    def order(self, card_id: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """int64[n] positions that bring rows into the order of their partitions; from any thread."""
        return np.argsort(self._partition(card_id), kind="stable")

    def add(self, columns: Columns) -> None:
        """Take the columns of one block in the order of :meth:`order`; the key is one of them."""
        bounds = np.searchsorted(self._partition(columns[self._key]), np.arange(self.count + 1))
        self._gathered.append((columns, bounds))
        if self._on_disk and sum(bounds[-1] for _, bounds in self._gathered) >= SCATTERED_ROWS:
            self._scatter()

    def finish(self) -> None:
        """End pass 1: nothing is added after this."""
        if self._on_disk:
            self._scatter()
        for file, writer in self._writers.values():
            writer.close()
            file.close()
        self._writers = {}

    def read(self, number: int) -> Columns | None:
        """The columns of one partition, None for an empty one; once each, after :meth:`finish`, from any thread."""
        if not self._on_disk:
            return self._of_partition(number)
        path = self._path(number)
        if not path.exists():
            return None
        found = _joined(list(_batches(path)))
        path.unlink()
        return found

    def close(self) -> None:
        """Forget the rows and delete what was spilled."""
        self._gathered = []
        self.finish()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _partition(self, card_id: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
        """uint16[n] partition of each row: the high bits of its card."""
        if not self.bits:
            return np.zeros(len(card_id), np.uint16)
        return np.asarray((card_id >> np.uint64(64 - self.bits)).astype(np.uint16))

    def _of_partition(self, number: int) -> Columns | None:
        """What is gathered of one partition."""
        slices = [(columns, slice(*bounds[number : number + 2])) for columns, bounds in self._gathered]
        parts = [{name: column[rows] for name, column in columns.items()} for columns, rows in slices]
        parts = [part for part in parts if len(part[self._key])]
        return _joined(parts) if parts else None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.partition"

    def _scatter(self) -> None:
        for number in range(self.count):
            columns = self._of_partition(number)
            if columns is not None:
                self._append(self._path(number), columns)
        self._gathered = []

    def _append(self, path: Path, columns: Columns) -> None:
        batch = _record_batch(columns)
        if path not in self._writers:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = pa.OSFile(str(path), "wb")
            self._writers[path] = (file, pa.ipc.new_stream(file, batch.schema, options=_SQUEEZED))
        self._writers[path][1].write_batch(batch)


@dataclass(slots=True)
class Shelved:
    """Rows of one block on the shelf: how many of which service, the rows or where they lie, how they were packed."""

    service: Service
    count: int
    _rows: Rows | None
    _packings: dict[str, Packing] = field(default_factory=dict)
    _path: Path | None = None

    def take(self) -> Rows:
        """The rows; once, from any thread."""
        if self._path is None:
            rows, self._rows = self._rows, None
            assert rows is not None, "rows leave the shelf once"
            return Rows(self.service, unpack_all(rows.columns, self._packings), rows.bills)
        bills = self._path.with_suffix(".bills")
        children = next(_batches(bills)) if bills.exists() else empty_bills()
        rows = Rows(self.service, unpack_all(next(_batches(self._path)), self._packings), children)
        # What is mapped stays readable; the name and, when the rows are dropped, the bytes are gone.
        self._path.unlink()
        bills.unlink(missing_ok=True)
        return rows


class Shelf:
    """The rows of one batch until their segments are written."""

    def __init__(self, folder: Path, rows_expected: int) -> None:
        """In memory or in ``folder`` (which :class:`Partitions` empties and deletes), by the rows announced."""
        self._folder = folder if rows_expected > IN_MEMORY_ROWS else None
        self._room = IN_MEMORY_BYTES
        self._together = threading.Lock()

    def put(self, name: str, rows: Rows) -> Shelved:
        """Keep the rows of one block under a name of their own; from any thread."""
        if self._folder is None:
            return Shelved(rows.service, len(rows), rows)
        packed, packings = pack_all(rows.columns)
        if self._has_room(sum(column.nbytes for column in packed.values())):
            bills = rows.bills if rows.service is Service.UTILITY else empty_bills()
            return Shelved(rows.service, len(rows), Rows(rows.service, packed, bills), packings)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.rows"
        _write(path, packed)
        if rows.service is Service.UTILITY:
            _write(path.with_suffix(".bills"), rows.bills)
        return Shelved(rows.service, len(rows), None, packings, path)

    def _has_room(self, size: int) -> bool:
        """Take room for some bytes in memory, if there is."""
        with self._together:
            fits = size <= self._room
            self._room -= size if fits else 0
            return fits


def _record_batch(columns: Columns) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(values) for name, values in columns.items()})


def _write(path: Path, columns: Columns) -> None:
    batch = _record_batch(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)


def _batches(path: Path) -> Iterator[Columns]:
    with pa.memory_map(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            yield {name: batch.column(name).to_numpy() for name in batch.schema.names}


def _joined(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
