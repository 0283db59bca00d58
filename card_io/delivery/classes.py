"""The fare-class sidecar ``<file>.classes.csv``: which concession a source row was charged under.

For sources without a card type. Columns ``file_sha256,row,class``; rows that are not listed have no class.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from card_io.delivery.errors import ClassesError

_HEADER: Final = ["file_sha256", "row", "class"]


class FareClass(IntEnum):
    """How the source charged a row; 0 stays free for rows the sidecar does not list."""

    NONE = 1
    HALF = 2
    FREE = 3
    UNFLAGGED_TRANSFER = 4


_CODES: Final = {fare_class.name.lower(): fare_class for fare_class in FareClass}


@dataclass(frozen=True, slots=True)
class FareClasses:
    """Listed rows in ascending order.

    Attributes:
        source_row: int64[n], 1-based data rows, strictly ascending.
        fare_class: uint8[n], :class:`FareClass`.
    """

    source_row: npt.NDArray[np.int64]
    fare_class: npt.NDArray[np.uint8]


def read_classes(path: Path, *, data_sha256: str, rows: int) -> FareClasses:
    """Read a sidecar and check that it belongs to its data file.

    Args:
        path: the sidecar.
        data_sha256: of the data file, lower-case hex; every line repeats it.
        rows: number of data rows; listed rows lie in 1 … rows.

    Raises:
        ClassesError: names the file, the line, its field and the value; the first fault ends the reading.
    """
    listed: dict[int, FareClass] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            if (header := next(lines, [])) != _HEADER:
                raise ClassesError(path.name, "line 1", repr(header)[:80], f"begin with {','.join(_HEADER)}")
            for line in lines:
                row, fare_class = _parse(path.name, lines.line_num, line, data_sha256, rows)
                if row in listed:
                    raise ClassesError(path.name, f"line {lines.line_num}, row", str(row), "list a row once")
                listed[row] = fare_class
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClassesError(path.name, "the file", f"not CSV in UTF-8 ({error})", "send it again") from None
    order = sorted(listed)
    return FareClasses(np.array(order, np.int64), np.array([listed[row] for row in order], np.uint8))


def _parse(file: str, number: int, line: list[str], data_sha256: str, rows: int) -> tuple[int, FareClass]:
    place = f"line {number}"
    if len(line) != len(_HEADER):
        raise ClassesError(file, place, f"{len(line)} fields", f"write {','.join(_HEADER)}")
    digest, row, word = line
    if digest != data_sha256:
        raise ClassesError(file, f"{place}, file_sha256", repr(digest)[:80], f"the data file has {data_sha256}")
    if not (row.isascii() and row.isdigit() and len(row) < 19 and 1 <= int(row) <= rows):
        raise ClassesError(file, f"{place}, row", repr(row)[:80], f"give a data row from 1 to {rows}")
    if word not in _CODES:
        raise ClassesError(file, f"{place}, class", repr(word)[:80], f"use one of {', '.join(_CODES)}")
    return int(row), _CODES[word]
