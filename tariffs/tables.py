"""Big tables that lie as CSV beside a tariff file and are named in it by SHA-256."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tariffs.columns import Ints
from tariffs.errors import ParameterError, TariffFileError


@dataclass(frozen=True)
class Table:
    """A CSV of integers: column name → int64 array, all of equal length, in file order."""

    name: str
    columns: Mapping[str, Ints]

    def column(self, name: str) -> Ints:
        """The named column; ParameterError naming the columns there are when it is absent."""
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise ParameterError("columns", name, f"table {self.name} has the columns {known}")
        return self.columns[name]


def load_table(tariff_file: Path, name: str, file_name: str, sha256: str) -> Table:
    """Read ``file_name`` beside ``tariff_file``; TariffFileError if absent, altered or not integers."""
    path = f"tables.{name}"
    file = tariff_file.parent / file_name
    try:
        content = file.read_bytes()
    except OSError as error:
        remedy = "put the CSV beside the YAML"
        raise TariffFileError(tariff_file, f"{path}.file", file_name, remedy) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        remedy = f"the CSV has {found}: check its changes, then write this"
        raise TariffFileError(tariff_file, f"{path}.sha256", sha256, remedy)
    header, *rows = list(csv.reader(content.decode("utf-8").splitlines()))
    if len(set(header)) != len(header):
        raise TariffFileError(file, "header", header, "name every column once")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise TariffFileError(file, f"line {number}", row, f"write {len(header)} values")
    try:
        values = np.array(rows, dtype=object).reshape(len(rows), len(header)).astype(np.int64)
    except ValueError as error:
        remedy = "write integers only: fen, metres, station ids"
        raise TariffFileError(file, "", str(error), remedy) from error
    columns = {column: np.ascontiguousarray(values[:, index]) for index, column in enumerate(header)}
    return Table(name, columns)
