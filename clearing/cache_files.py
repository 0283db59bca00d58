"""Files of the caches: Arrow columns, written whole and mapped, and the rows of given keys in sorted columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.direct import DirectFile, read_file
from card_io.records import Columns
from clearing.packing import pack_all, packings_of, packings_text

Ints = npt.NDArray[np.int64]

STAGED: Final = ".staged"
"""Ends the name of what a batch adds until it is committed."""

_PACKINGS: Final = "packings"


def save(path: Path, columns: Columns, metadata: dict[str, str] | None = None) -> None:
    """Write columns of one length, with metadata of the file."""
    batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()}, metadata=metadata)
    beside = path.with_suffix(".tmp")
    with DirectFile(beside) as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    beside.replace(path)


def packed(looked_up: Columns, columns: Columns) -> tuple[Columns, dict[str, str]]:
    """Columns and metadata to save: those taken row by row packed, for that costs less than writing them whole."""
    codes, packings = pack_all(columns)
    return looked_up | codes, {_PACKINGS: packings_text(packings)}


def taken(table: pa.Table, names: Iterable[str], rows: Ints) -> Columns:
    """Columns that were saved :func:`packed`, at the given rows."""
    packings = packings_of(metadata_of(table, _PACKINGS))
    columns: Columns = {}
    for name in names:
        codes = table.column(name).to_numpy()[rows] if name in table.column_names else None
        if name in packings:
            columns[name] = packings[name].unpack(codes, len(rows))
        elif codes is not None:
            columns[name] = codes
    return columns


_ROWS_PER_PAGE: Final = 512
"""Of the widest column: where each page holds a row that is wanted, a file is read from its beginning to its end."""


def wanted(path: Path, table: pa.Table, rows: Ints) -> pa.Table:
    """The columns of a mapped file for taking some rows: read at once where page by page would be all of it."""
    return read(path) if len(rows) * _ROWS_PER_PAGE > len(table) else table


def mapped(path: Path) -> pa.Table:
    """The columns of a file; pages are read as they are touched."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def read(path: Path) -> pa.Table:
    """The columns of a file that is needed from its beginning to its end."""
    return pa.ipc.open_file(pa.py_buffer(read_file(path))).read_all()


def metadata_of(table: pa.Table, name: str) -> str:
    """What the file of a table was saved with; empty when there is nothing of that name."""
    return str((table.schema.metadata or {}).get(name.encode(), b"").decode())


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys of one of 2**bits partitions: those whose high bits are its number."""

    bits: int
    number: int

    @classmethod
    def named(cls, text: str) -> KeyRange:
        """From :attr:`name`."""
        bits, number = text.split("-")
        return cls(int(bits), int(number))

    @property
    def name(self) -> str:
        """As part of file names."""
        return f"{self.bits:02d}-{self.number:04d}"

    @property
    def ends(self) -> tuple[int, int]:
        """First and last key, both included, as unsigned numbers."""
        width = 1 << (64 - self.bits)
        return self.number * width, (self.number + 1) * width - 1

    def meets(self, other: KeyRange) -> bool:
        """Whether some key is in both."""
        (first, last), (start, stop) = self.ends, other.ends
        return first <= stop and start <= last

    def slice(self, ordered: npt.NDArray[Any]) -> slice:
        """Where its keys stand in a column of 64-bit keys that ascends: unsigned, or the same bits with a sign."""
        if not self.bits:
            return slice(0, len(ordered))
        first, last = (np.array(each, np.uint64).view(ordered.dtype)[()] for each in self.ends)
        start, stop = np.searchsorted(ordered, first, "left"), np.searchsorted(ordered, last, "right")
        return slice(int(start), int(stop))


ALL: Final = KeyRange(0, 0)
"""Every key."""


class KeyRangeFiles:
    """Columns sorted by a 64-bit key, in one file per :class:`KeyRange`: what a partition needs is read alone.

    Every batch writes them anew, all or none, in as many key ranges as it has partitions.
    """

    def __init__(self, folder: Path, stem: str, key: str) -> None:
        """The files ``<stem>.<range>.arrow`` of a folder."""
        self._folder, self._stem, self._key = folder, stem, key

    def read(self, key_range: KeyRange) -> Columns | None:
        """The columns of some keys; None when there are no files."""
        parts: list[Columns] = []
        for path in self._paths():
            own = self._range_of(path)
            if own.meets(key_range):
                # Of a file with other keys beside these, only their pages are read.
                table = read(path) if own.bits >= key_range.bits else mapped(path)
                columns = {name: table.column(name).to_numpy() for name in table.column_names}
                here = key_range.slice(columns[self._key])
                parts.append({name: column[here] for name, column in columns.items()})
        parts.sort(key=lambda part: part[self._key][0] if len(part[self._key]) else 0)
        if len(parts) < 2:
            return parts[0] if parts else None
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def metadata(self, name: str) -> str | None:
        """What the files were staged with; None when there are none."""
        return next((metadata_of(mapped(path), name) for path in self._paths()), None)

    def stage(self, key_range: KeyRange, columns: Columns, metadata: dict[str, str] | None = None) -> None:
        """Write the columns of one range for :meth:`take_over`; from any thread."""
        self._folder.mkdir(parents=True, exist_ok=True)
        save(self._folder / f"{self._stem}.{key_range.name}.arrow{STAGED}", columns, metadata=metadata)

    def take_over(self) -> None:
        """What was staged, if anything was, takes the place of all files there are."""
        staged = self._paths(STAGED)
        for path in self._paths() if staged else ():
            path.unlink()
        for path in staged:
            path.replace(path.with_name(path.name.removesuffix(STAGED)))

    def _paths(self, end: str = "") -> list[Path]:
        return sorted(self._folder.glob(f"{self._stem}.??-????.arrow{end}"))

    def _range_of(self, path: Path) -> KeyRange:
        return KeyRange.named(path.name.removeprefix(f"{self._stem}.").removesuffix(".arrow"))


def places_of(ordered: npt.NDArray[Any], keys: npt.NDArray[Any]) -> Ints:
    """Positions of all rows of ``ordered`` (ascending) whose value is among ``keys`` (ascending, unique)."""
    start, stop = np.searchsorted(ordered, keys, "left"), np.searchsorted(ordered, keys, "right")
    length = stop - start
    if not length.sum():
        return np.empty(0, np.int64)
    begin = np.repeat(start - np.concatenate(([0], np.cumsum(length)[:-1])), length)
    return np.asarray(begin + np.arange(length.sum()))
