"""Files of the caches: Arrow columns, written whole and mapped, and the rows of given keys in sorted columns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.records import Columns
from clearing.packing import pack_all, packings_of, packings_text

Ints = npt.NDArray[np.int64]

_PACKINGS: Final = "packings"


def save(path: Path, *parts: Columns, metadata: dict[str, str] | None = None) -> None:
    """Write parts (at least one, with the same columns) one after the other, with metadata of the whole file."""
    batches = [
        pa.record_batch({name: pa.array(values) for name, values in part.items()}, metadata=metadata)
        for part in parts
    ]
    beside = path.with_suffix(".tmp")
    with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_file(file, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    beside.replace(path)


def save_packed(path: Path, looked_up: Columns, columns: Columns) -> None:
    """Write columns that are taken row by row packed, since the disk is slower than packing; others as they are."""
    packed, packings = pack_all(columns)
    save(path, looked_up | packed, metadata={_PACKINGS: packings_text(packings)})


def taken(table: pa.Table, names: Iterable[str], rows: Ints) -> Columns:
    """Columns of a file of :func:`save_packed` at the given rows."""
    # Journeys of earlier versions lie as they are.
    packings = packings_of(metadata_of(table, _PACKINGS) or "{}")
    columns: Columns = {}
    for name in names:
        codes = table.column(name).to_numpy()[rows] if name in table.column_names else None
        if name in packings:
            columns[name] = packings[name].unpack(codes, len(rows))
        elif codes is not None:
            columns[name] = codes
    return columns


def mapped(path: Path) -> pa.Table:
    """The columns of a file; pages are read as they are touched."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def metadata_of(table: pa.Table, name: str) -> str:
    """What the file of a table was saved with; empty when there is nothing of that name."""
    return str((table.schema.metadata or {}).get(name.encode(), b"").decode())


def places_of(ordered: npt.NDArray[Any], keys: npt.NDArray[Any]) -> Ints:
    """Positions of all rows of ``ordered`` (ascending) whose value is among ``keys`` (ascending, unique)."""
    start, stop = np.searchsorted(ordered, keys, "left"), np.searchsorted(ordered, keys, "right")
    length = stop - start
    if not length.sum():
        return np.empty(0, np.int64)
    begin = np.repeat(start - np.concatenate(([0], np.cumsum(length)[:-1])), length)
    return np.asarray(begin + np.arange(length.sum()))
