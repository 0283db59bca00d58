"""Content hashes of rows and content roots of sets of rows (DESIGN §8, "two hashes").

A row's hash is 128 bits over canonical 64-bit values of its columns in a fixed order; a root is the sum of row
hashes modulo 2¹²⁸: it does not depend on order, chunks, threads or partitions, and subtracting a row undoes adding
it. For equality only; who touched a file is the business of the seal (SHA-256 in the signed journal).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clearing import kernels

_CHUNK = 1 << 14
"""Rows hashed before moving on to the next column's cache lines: two lanes of 128 KiB stay in the second level."""

_SEED_LO, _SEED_HI = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)
_MASK = 2**128 - 1

Column = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class RowHashes:
    """128-bit hashes of n rows as two uint64[n] lanes."""

    lo: npt.NDArray[np.uint64]
    hi: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.lo)

    def root(self, keep: npt.NDArray[np.bool_] | None = None) -> int:
        """Σ of the (kept) row hashes modulo 2¹²⁸."""
        chosen = np.ones(len(self.lo), bool) if keep is None else keep
        low, high = kernels.sum_128(self.lo, self.hi, chosen)
        return (int(high) << 64) | int(low)


def hash_rows(columns: Iterable[Column], rows: int, *, start: RowHashes | None = None) -> RowHashes:
    """Hash n rows over columns in the given order.

    Args:
        columns: integer arrays of shape (n,); signed values are taken as two's complement, so a column's
            hash does not depend on its width for values that fit.
        rows: n.
        start: hashes to continue from, for instance the content of a row before its decision is added.
    """
    listed = [_canonical(column) for column in columns]
    lo = np.full(rows, _SEED_LO) if start is None else start.lo.copy()
    hi = np.full(rows, _SEED_HI) if start is None else start.hi.copy()
    for begin in range(0, rows, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, rows))
        for column in listed:
            kernels.absorb(lo[part], hi[part], column[part])
        kernels.finish(lo[part], hi[part])
    return RowHashes(lo, hi)


def _canonical(column: Column) -> Column:
    return column.view(np.uint8) if column.dtype == np.bool_ else column


def add_roots(*roots: int) -> int:
    """Sum of content roots modulo 2¹²⁸."""
    return sum(roots) & _MASK


def root_text(root: int) -> str:
    """A root as 32 hex digits."""
    return f"{root:032x}"
