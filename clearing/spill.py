"""What waits between the two passes: in memory for a small day, in ``work/spill`` for a large one.

Pass 2 compares few columns of many rows and writes many columns of each row, so the two go apart. :class:`Partitions`
parts what is compared by the high bits of ``card_id``: all rows of a card meet in one partition, and memory stays
bounded by the largest. :class:`Shelf` keeps the rows themselves, in the order of arrival, until their segment is
written. A large day has :data:`IN_MEMORY_BYTES` for all of it (:func:`rooms_for`); what finds no room is spilled.
Spilled files are private, carry no card numbers and are deleted.
"""

from __future__ import annotations

import concurrent.futures
import math
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io import direct
from card_io.records import Columns, Service
from clearing.cache_files import KeyRange
from clearing.durable import FewBehind
from clearing.packing import Packing, pack_all, unpack_all
from clearing.records import Rows, empty_bills

IN_MEMORY_ROWS: Final = 1 << 21
"""A batch up to this size spills nothing."""

IN_MEMORY_BYTES: Final = 1 << 30
"""What a larger batch keeps packed in memory before it turns to the disk."""

COMPARED_BYTES: Final = 80
"""What is compared of a row takes at most about this, packed: 64 of a ride, 74 of a load that picks up a benefit."""

JOURNEY_BYTES: Final = 16
"""Journeys take about this per row of a batch, packed: of some rows a tariff remembers one, in near 53 bytes."""

PARTITION_ROWS: Final = 1 << 19
"""Rows aimed at per partition: near 50 MB of what is compared; as many are in memory as threads run."""

PARTITION_BITS_MAX: Final = 10
"""At most 1,024 partitions, near 500 M rows: what manifests announce nobody has checked yet."""

ONE_PARTITION_ROWS: Final = 1 << 18
"""A batch up to this size is one partition; a larger one in memory is two, decided side by side."""

SCATTERED_ROWS: Final = 1 << 18
"""Rows gathered before they are scattered to disk: small writes would cost more than their bytes."""

_WRITERS: Final = 2
"""Threads that wait for the disk in place of those that have work."""

_COLUMN_ALIGNED: Final = 64
"""Columns in a file begin at multiples of this, as arrays that are handed to kernels do."""

_SQUEEZED: Final = pa.ipc.IpcWriteOptions(compression="lz4")
"""Columns that are equal throughout vanish."""


class Rooms(NamedTuple):
    """Bytes of memory for what is compared, for the journeys that tariffs remember, and for the shelf."""

    compared: int
    journeys: int
    shelf: int


def rooms_for(rows_expected: int) -> Rooms:
    """Share the memory of a large batch out.

    What comes back in another order than it went is by far the dearer over the disk: it comes first, and only whole.
    """
    compared = _whole(rows_expected * COMPARED_BYTES, IN_MEMORY_BYTES)
    journeys = _whole(rows_expected * JOURNEY_BYTES, IN_MEMORY_BYTES - compared)
    return Rooms(compared, journeys, IN_MEMORY_BYTES - compared - journeys)


def _whole(size: int, room: int) -> int:
    return size if size <= room else 0


@dataclass(frozen=True, slots=True)
class Parted:
    """Packed columns of rows of one block in the order of their partitions.

    ``bounds`` intp[partitions + 1] says where each partition begins; the column ``position`` where each row stands.
    """

    columns: Columns
    packings: dict[str, Packing]
    bounds: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return int(self.bounds[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of memory the rows take."""
        return sum(column.nbytes for column in self.columns.values())

    def after(self, offset: int) -> Parted:
        """The same rows with ``offset`` rows before them."""
        position = self.packings["position"]
        return replace(self, packings={**self.packings, "position": replace(position, base=position.base + offset)})

    def dtype(self, name: str) -> np.dtype[Any]:
        """What a column is when it is not packed."""
        return self.packings[name].dtype if name in self.packings else self.columns[name].dtype

    def put(self, name: str, number: int, rows: npt.NDArray[Any]) -> None:
        """Put one column of the rows of a partition into ``rows``."""
        codes = self.columns.get(name)
        if codes is not None:
            codes = codes[self.bounds[number] : self.bounds[number + 1]]
        packing = self.packings.get(name)
        if packing is not None:
            packing.unpack_into(codes, rows)
        else:
            rows[:] = codes


class Partitions:
    """Columns of one batch by partition; the columns of all blocks have the same names and dtypes."""

    def __init__(self, folder: Path, rows_expected: int, key: str = "card_id", room: int = 0) -> None:
        """Choose the number of partitions, a power of two, for the rows the manifests announce.

        Args:
            folder: for what is spilled; nobody else's, emptied now and deleted by :meth:`close`.
            rows_expected: rows announced.
            key: the uint64 column by whose high bits rows are parted.
            room: bytes of memory for a batch that is too large to wait in memory as a matter of course; once they
                are full, all of it goes to disk.
        """
        self._key = key
        self.bits = 1 if rows_expected > ONE_PARTITION_ROWS else 0
        self._room: float = math.inf
        if rows_expected > IN_MEMORY_ROWS:
            self.bits = min(int(np.ceil(np.log2(rows_expected / PARTITION_ROWS))), PARTITION_BITS_MAX)
            self._room = room
        self._on_disk = False
        self._folder = folder
        self._gathered: list[Parted] = []
        self._writers: dict[Path, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def count(self) -> int:
        """Number of partitions."""
        return 1 << self.bits

    def key_range(self, number: int) -> KeyRange:
        """The keys of a partition."""
        return KeyRange(self.bits, number)

    def order(self, card_id: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """int64[n] positions that bring rows into the order of their partitions; from any thread."""
        return np.argsort(self._partition(card_id), kind="stable")

    def parted(self, columns: Columns) -> Parted:
        """Columns of a block, key and ``position`` among them, in the order of :meth:`order`; from any thread."""
        bounds = np.searchsorted(self._partition(columns[self._key]), np.arange(self.count + 1))
        return Parted(*pack_all(columns), bounds)

    def add(self, block: Parted) -> None:
        """Take the rows of one block."""
        self._gathered.append(block)
        self._room -= block.nbytes
        self._on_disk |= self._room < 0
        if self._on_disk and sum(map(len, self._gathered)) >= SCATTERED_ROWS:
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
        batches = list(_batches(path))
        path.unlink()
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

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
        ends = np.cumsum([block.bounds[number + 1] - block.bounds[number] for block in self._gathered])
        if not len(ends) or not ends[-1]:
            return None
        places = list(zip(self._gathered, [0, *ends[:-1].tolist()], ends.tolist(), strict=True))
        columns: Columns = {}
        first = self._gathered[0]
        for name in {**first.columns, **first.packings}:
            columns[name] = column = np.empty(ends[-1], first.dtype(name))
            for block, start, stop in places:
                if start < stop:
                    block.put(name, number, column[start:stop])
        return columns

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.partition"

    def _scatter(self) -> None:
        for number in range(self.count):
            columns = self._of_partition(number)
            if columns is not None:
                self._append(self._path(number), columns)
        self._gathered = []

    def _append(self, path: Path, columns: Columns) -> None:
        batch = pa.record_batch({name: pa.array(columns[name]) for name in sorted(columns)})
        if path not in self._writers:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = pa.OSFile(str(path), "wb")
            self._writers[path] = (file, pa.ipc.new_stream(file, batch.schema, options=_SQUEEZED))
        self._writers[path][1].write_batch(batch)


def _batches(path: Path) -> Iterator[Columns]:
    with pa.memory_map(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            yield {name: batch.column(name).to_numpy() for name in batch.schema.names}


@dataclass(slots=True)
class Shelved:
    """Rows of one block on the shelf: how many of which service, the rows or where they lie, how they were packed."""

    service: Service
    count: int
    _rows: Rows | None
    _packings: dict[str, Packing] = field(default_factory=dict)
    _file: _ColumnFile | None = None
    _regions: tuple[_Region, _Region] | None = None

    def take(self) -> Rows:
        """The rows; once, from any thread."""
        if self._file is None or self._regions is None:
            rows, self._rows = self._rows, None
            assert rows is not None, "rows leave the shelf once"
            return Rows(self.service, unpack_all(rows.columns, self._packings), rows.bills)
        columns, bills = (self._file.read(region) for region in self._regions)
        return Rows(self.service, unpack_all(columns, self._packings), bills or empty_bills())


class Shelf:
    """The rows of one batch until their segments are written."""

    def __init__(self, path: Path, rows_expected: int, room: int = 0) -> None:
        """In memory or, beyond ``room`` bytes of a large batch, in the file ``path``, by the rows announced."""
        self._packs = rows_expected > IN_MEMORY_ROWS
        self._room = room
        self._together = threading.Lock()
        self._path = path
        self._file: _ColumnFile | None = None
        if path.exists():  # of a run that was killed
            path.unlink()

    def put(self, rows: Rows) -> Shelved:
        """Keep the rows of one block; from any thread."""
        if not self._packs:
            return Shelved(rows.service, len(rows), rows)
        packed, packings = pack_all(rows.columns)
        bills = rows.bills if rows.service is Service.UTILITY else {}
        file = self._file_for(sum(column.nbytes for column in packed.values()))
        if file is None:
            kept = Rows(rows.service, packed, bills or empty_bills())
            return Shelved(rows.service, len(rows), kept, packings)
        return Shelved(rows.service, len(rows), None, packings, file, (file.write(packed), file.write(bills)))

    def close(self) -> None:
        """Delete what was spilled."""
        if self._file is not None:
            self._file.close()
            self._path.unlink()
            self._file = None

    def _file_for(self, size: int) -> _ColumnFile | None:
        """Where so many bytes go: None while there is room in memory."""
        with self._together:
            if size <= self._room:
                self._room -= size
                return None
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = _ColumnFile(self._path)
            return self._file


Place = tuple[np.dtype[Any], int, int]
"""One column in a region: dtype, rows, offset in bytes."""


@dataclass(frozen=True, slots=True)
class _Region:
    """Columns that lie together in a file: where they begin, how many bytes they take, and each one's place."""

    offset: int
    size: int
    places: dict[str, Place]


class _ColumnFile:
    """Columns of many blocks, one behind the other, in one file: a file of its own would cost each an inode."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        direct.set_direct(self._descriptor, True)
        self._end = 0
        self._together = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(_WRITERS)
        self._behind = FewBehind(self._pool)

    def write(self, columns: Columns) -> _Region:
        """Begin to write columns; from any thread."""
        places: dict[str, Place] = {}
        size = 0
        for name, column in columns.items():
            places[name] = (column.dtype, len(column), size)
            size += -(-column.nbytes // _COLUMN_ALIGNED) * _COLUMN_ALIGNED
        region = direct.aligned(direct.rounded_up(size))
        for name, column in columns.items():
            _column(region, places[name])[:] = column
        with self._together:
            offset = self._end
            self._end += len(region)
        self._behind.begin(direct.write_all, self._descriptor, region, offset)
        return _Region(offset, len(region), places)

    def read(self, region: _Region) -> Columns:
        """Read columns back, once all are written; from any thread."""
        self._behind.wait()
        content = direct.aligned(region.size)
        direct.read_all(self._descriptor, content, region.offset)
        return {name: _column(content, place) for name, place in region.places.items()}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        os.close(self._descriptor)


def _column(region: npt.NDArray[np.uint8], place: Place) -> npt.NDArray[Any]:
    dtype, rows, offset = place
    return region[offset : offset + rows * dtype.itemsize].view(dtype)
