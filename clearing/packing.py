"""Integer columns in as few bytes as their values need: what is spilled is written and read back once.

A column becomes the distance of each value from the least one, in the narrowest unsigned type, or nothing where all
values are equal; 0 stands for a missing value. Hashes and other wide columns stay as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import NULL, Columns

Column = npt.NDArray[Any]

_FEW: Final = 16
_WIDEST: Final = 1 << 32
_NARROW: Final = ((1 << 8, np.dtype(np.uint8)), (1 << 16, np.dtype(np.uint16)), (1 << 32, np.dtype(np.uint32)))


@dataclass(frozen=True, slots=True)
class Packing:
    """How one column was packed: its dtype, the value of code 0 (or of code 1, after missing values), row count."""

    dtype: np.dtype[Any]
    base: int
    rows: int
    has_missing: bool = False

    def unpack(self, codes: Column | None, rows: int) -> Column:
        """The column again, or so many ``rows`` of it; ``codes`` is None where all values are ``base``."""
        values: Column = np.empty(rows, self.dtype)
        self.unpack_into(codes, values)
        return values

    def unpack_into(self, codes: Column | None, values: Column) -> None:
        """The same into an array of the column's dtype."""
        if codes is None:
            values.fill(self.base)
            return
        np.add(codes, np.array(self.base - self.has_missing, self.dtype), out=values, dtype=self.dtype)
        if self.has_missing:
            values[codes == 0] = NULL


def pack(column: Column) -> tuple[Column | None, Packing | None]:
    """(codes, packing) of an integer column; packing is None where ``codes`` are the column itself."""
    if not len(column):
        return None, Packing(column.dtype, 0, 0)
    few = column[:_FEW]
    if int(few.max()) - int(few.min()) >= _WIDEST and NULL not in few:
        # A hash, as its first values tell already.
        return column, None
    low, high = int(column.min()), int(column.max())
    if low == high:
        return None, Packing(column.dtype, low, len(column))
    if low == NULL and column.dtype == np.int64:
        return _pack_with_missing(column, high)
    narrow = _narrow(high - low, column.dtype)
    if narrow is None:
        return column, None
    return (column - np.array(low, column.dtype)).astype(narrow), Packing(column.dtype, low, len(column))


def _pack_with_missing(column: Column, high: int) -> tuple[Column, Packing | None]:
    missing = column == NULL
    low = int(np.where(missing, high, column).min())
    narrow = _narrow(high - low + 1, column.dtype)
    if narrow is None:
        return column, None
    codes = np.where(missing, 0, column - np.int64(low - 1)).astype(narrow)
    return codes, Packing(column.dtype, low, len(column), has_missing=True)


def _narrow(span: int, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The narrowest dtype for codes up to ``span``, None where it is no narrower than the column's own."""
    for limit, narrow in _NARROW:
        if span < limit:
            return narrow if narrow.itemsize < dtype.itemsize else None
    return None


def pack_all(columns: Columns) -> tuple[Columns, dict[str, Packing]]:
    """Columns of one length packed: those with codes, and how."""
    packed: Columns = {}
    packings: dict[str, Packing] = {}
    for name, column in columns.items():
        codes, packing = pack(column)
        if codes is not None:
            packed[name] = codes
        if packing is not None:
            packings[name] = packing
    return packed, packings


def packings_text(packings: dict[str, Packing]) -> str:
    """The packings as JSON, to lie beside the codes."""
    return json.dumps({name: [p.dtype.name, p.base, p.rows, p.has_missing] for name, p in packings.items()})


def packings_of(text: str) -> dict[str, Packing]:
    """The packings that :func:`packings_text` wrote."""
    return {name: Packing(np.dtype(dtype), *rest) for name, (dtype, *rest) in json.loads(text).items()}


def unpack_all(packed: Columns, packings: dict[str, Packing]) -> Columns:
    """The columns that :func:`pack_all` packed."""
    kept = {name: column for name, column in packed.items() if name not in packings}
    return kept | {name: packing.unpack(packed.get(name), packing.rows) for name, packing in packings.items()}
