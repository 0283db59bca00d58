"""Rows of the registers that people keep as CSV: read in one place, so that each error names file, line and field."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from clearing.errors import ConfigError

Parsed = TypeVar("Parsed")

DATE: Final = "date YYYY-MM-DD"
"""What a cell with a date should be, as errors say it."""


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """One row: its file, its line (the header is line 1), its cells by column."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def integer(self, column: str, base: int = 10) -> int:
        """A whole number (raises ConfigError)."""
        return self.parsed(column, lambda text: int(text, base), "number" if base == 10 else "hexadecimal number")

    def date(self, column: str) -> datetime.date:
        """A date as YYYY-MM-DD (raises ConfigError)."""
        return self.parsed(column, datetime.date.fromisoformat, DATE)

    def parsed(self, column: str, parse: Callable[[str], Parsed], what: str) -> Parsed:
        """A cell as what it should be.

        Raises:
            ConfigError: ``parse`` raises ValueError; naming file, line, column and text.
        """
        try:
            return parse(self.cells[column])
        except ValueError as exc:
            raise self.wrong(column, f"{self.cells[column]!r} is no {what}") from exc

    def wrong(self, column: str, why: str) -> ConfigError:
        """What is wrong with a cell, to be raised."""
        return ConfigError(f"line {self.line}, {column}: {why}", where=self.path, remedy="correct the field")


def register_rows(path: Path, columns: tuple[str, ...], optional: str = "") -> Iterator[RegisterRow]:
    """The rows of a register in their order.

    Args:
        path: the CSV file, UTF-8 with or without a byte order mark.
        columns: what its header lists, in this order.
        optional: a column it may have besides, anywhere.

    Raises:
        ConfigError: the file or a column is missing, or a row has cells too few or too many.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(name for name in reader.fieldnames or () if name != optional) != columns:
                raise ConfigError(f"columns are {reader.fieldnames}", where=path, remedy=f"make them {list(columns)}")
            for line, cells in enumerate(reader, 2):
                if None in cells or None in cells.values():
                    raise ConfigError(
                        f"line {line} has not one cell for each column", where=path, remedy="correct the line"
                    )
                yield RegisterRow(path, line, cells)
    except FileNotFoundError as exc:
        raise ConfigError("register is missing", where=path, remedy="restore it, or run: clearing init") from exc
