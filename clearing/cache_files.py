"""Files of the caches: Arrow columns, written whole and mapped, and the rows of given keys in sorted columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]


def save(path: Path, *parts: dict[str, npt.NDArray[Any]], note: str = "") -> None:
    """Write parts (at least one, with the same columns) in order, with a note that :func:`note_of` reads."""
    batches = [pa.record_batch({name: pa.array(values) for name, values in part.items()}) for part in parts]
    schema = batches[0].schema.with_metadata({"note": note})
    beside = path.with_suffix(".tmp")
    with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    beside.replace(path)


def mapped(path: Path) -> pa.Table:
    """The columns of a file; pages are read as they are touched."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def note_of(table: pa.Table) -> str:
    """The note a file was saved with."""
    return str((table.schema.metadata or {}).get(b"note", b"").decode())


def rows_of(ordered: npt.NDArray[Any], keys: npt.NDArray[Any]) -> Ints:
    """Positions of all rows of ``ordered`` (ascending) whose value is among ``keys`` (ascending, unique)."""
    start, stop = np.searchsorted(ordered, keys, "left"), np.searchsorted(ordered, keys, "right")
    length = stop - start
    if not length.sum():
        return np.empty(0, np.int64)
    begin = np.repeat(start - np.concatenate(([0], np.cumsum(length)[:-1])), length)
    return np.asarray(begin + np.arange(length.sum()))
