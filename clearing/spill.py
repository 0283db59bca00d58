"""Card partitions between the two passes: in memory for a small day, on disk for a large one.

Rows are scattered by the high bits of ``card_id``, so that all rows of a card meet in one partition and memory stays
bounded by the largest partition. Spilled files are private to ``work/``, carry no card numbers and are deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.records import Columns, Service
from clearing.records import Rows, concatenate, empty_bills

PARTITION_ROWS: Final = 1 << 19
"""Rows aimed at per partition: near 256 MB with everything a row carries; as many are in memory as threads run."""

IN_MEMORY_ROWS: Final = 4 * PARTITION_ROWS
"""A batch up to this size spills nothing."""

ONE_PARTITION_ROWS: Final = 1 << 18
"""A batch up to this size is one partition; a larger one in memory is two, decided side by side."""


class Partitions:
    """Rows of one batch by partition and service."""

    def __init__(self, folder: Path, rows_expected: int) -> None:
        """Choose the number of partitions, a power of two, for the rows the manifests announce."""
        self.bits = 1 if rows_expected > ONE_PARTITION_ROWS else 0
        self._on_disk = rows_expected > IN_MEMORY_ROWS
        if self._on_disk:
            self.bits = int(np.ceil(np.log2(rows_expected / PARTITION_ROWS)))
        self._folder = folder
        self._memory: dict[Service, list[Rows]] = {}
        self._writers: dict[Path, tuple[pa.OSFile, pa.RecordBatchStreamWriter]] = {}
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def count(self) -> int:
        """Number of partitions."""
        return 1 << self.bits

    def add(self, rows: Rows) -> None:
        """Take the rows of one delivery block."""
        if not len(rows):
            return
        if not self._on_disk:
            self._memory.setdefault(rows.service, []).append(rows)
            return
        partition = self._partition(rows)
        order = np.argsort(partition, kind="stable")
        bounds = np.searchsorted(partition[order], np.arange(self.count + 1))
        for number in range(self.count):
            chosen = order[bounds[number] : bounds[number + 1]]
            if len(chosen):
                self._append(number, rows.take(chosen))

    def _partition(self, rows: Rows) -> npt.NDArray[np.int64]:
        """int64[n] partition of each row: the high bits of its card."""
        return np.asarray((rows["card_id"] >> np.uint64(64 - self.bits)).astype(np.int64))

    def _append(self, number: int, rows: Rows) -> None:
        stem = f"{number:04d}-{rows.service.name.lower()}"
        self._write(self._folder / f"{stem}.rows", rows.columns)
        if rows.service is Service.UTILITY:
            # A parent's position counts within its own record batch, which is how it is read back.
            self._write(self._folder / f"{stem}.bills", rows.bills)

    def _write(self, path: Path, columns: Columns) -> None:
        batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
        if path not in self._writers:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = pa.OSFile(str(path), "wb")
            self._writers[path] = (file, pa.ipc.new_stream(file, batch.schema))
        self._writers[path][1].write_batch(batch)

    def read(self, number: int) -> dict[Service, Rows]:
        """All rows of one partition by service; once per partition, after :meth:`finish`, from any thread."""
        if not self._on_disk:
            return self._read_memory(number)
        found = {}
        for path in sorted(self._folder.glob(f"{number:04d}-*.rows")):
            service = Service[path.stem.split("-")[1].upper()]
            batches, bills = list(_batches(path)), path.with_suffix(".bills")
            children = list(_batches(bills)) if bills.exists() else [empty_bills()] * len(batches)
            found[service] = concatenate(
                [Rows(service, columns, child) for columns, child in zip(batches, children, strict=True)]
            )
            path.unlink()
            bills.unlink(missing_ok=True)
        return found

    def _read_memory(self, number: int) -> dict[Service, Rows]:
        found = {}
        for service, blocks in self._memory.items():
            if self.bits:
                blocks = [rows.take(np.flatnonzero(self._partition(rows) == number)) for rows in blocks]
            kept = [rows for rows in blocks if len(rows)]
            if kept:
                found[service] = concatenate(kept)
        return found

    def finish(self) -> None:
        """End pass 1: nothing is added after this."""
        for file, writer in self._writers.values():
            writer.close()
            file.close()
        self._writers = {}

    def close(self) -> None:
        """Forget the rows and delete what was spilled."""
        self._memory = {}
        self.finish()
        shutil.rmtree(self._folder, ignore_errors=True)


def _batches(path: Path) -> Iterator[Columns]:
    with pa.memory_map(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            yield {name: batch.column(name).to_numpy() for name in batch.schema.names}
