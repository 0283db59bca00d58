"""Tables by kind of visitor: which cell speaks of a visit, and which cells speak of the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.medical import kernels
from tariffs.medical.columns import MedicalVisits
from tariffs.medical.steps import Visitors
from tariffs.threads import in_ranges

_KEYS = ("insured", "person_type", "level", "visit_kind", "relation", "aid")
RELATION = _KEYS.index("relation")
ANY = -1
"""In place of a code that the file leaves out."""


@dataclass(frozen=True)
class Cells:
    """Keys of a table's cells, int64 of shape (cells, 6), :data:`ANY` where every code fits; disjoint."""

    keys: Ints

    def of(self, visits: MedicalVisits, threads: int) -> Ints:
        """Cell of each visit, −1 where none speaks of it; int64 of shape (rows,)."""
        cell = np.empty(len(visits), np.int64)
        codes = [getattr(visits, name) for name in _KEYS]

        def find(first: int, last: int) -> None:
            kernels.find_cells(*codes, self.keys, first, last, cell)

        in_ranges(len(visits), find, threads)
        return cell


def cells_of(path: str, table: Sequence[Visitors]) -> Cells:
    """The cells of a table; ParameterError when two of them speak of the same visit."""
    keys = [_keys(cell) for cell in table]
    for index, later in enumerate(keys):
        for earlier in keys[:index]:
            if all(a == b or ANY in (a, b) for a, b in zip(earlier, later, strict=True)):
                raise ParameterError(f"{path}[{index}]", _said(table[index]), "the cell stands twice")
    return Cells(np.array(keys, np.int64))


def cover(path: str, wide: Sequence[Visitors], narrow: Sequence[Visitors], remedy: str) -> list[int]:
    """For each narrow cell the wide one that speaks of all its visits.

    Raises ParameterError when a narrow cell has none, or a wide one speaks of no narrow cell.
    """
    wide_keys = [_keys(cell) for cell in wide]
    found = []
    for cell in narrow:
        keys = _keys(cell)
        covering = [
            index
            for index, candidate in enumerate(wide_keys)
            if all(b in (a, ANY) for a, b in zip(keys, candidate, strict=True))
        ]
        if not covering:
            raise ParameterError(path, _said(cell), remedy)
        found.append(covering[0])
    if unused := set(range(len(wide))) - set(found):
        raise ParameterError(path, [_said(wide[index]) for index in sorted(unused)], remedy)
    return found


def _keys(cell: Visitors) -> tuple[int, ...]:
    codes = [getattr(cell, name) for name in _KEYS]
    return tuple(ANY if code is None else code for code in codes)


def _said(cell: Visitors) -> dict[str, int]:
    return {name: code for name in _KEYS if (code := getattr(cell, name)) is not None}
