"""Files of rows an analyst has at hand, CSV or Parquet: columns by name in, columns by name out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tariffs.analyst.lacks import require_columns
from tariffs.analyst.rows import DatedRows, assemble, known_columns, place, read_value
from tariffs.columns import NULL, Ints
from tariffs.errors import ParameterError, TariffFileError
from tariffs.tariff import Tariff
from tariffs.written import OWNERS


@dataclass(frozen=True)
class RowFile:
    """The rows of a file, ready to price, and the file's own columns."""

    dated: DatedRows
    table: pa.Table
    """As it stood in the file; the columns of a CSV are text."""

    def __len__(self) -> int:
        return len(self.dated.rows)


def read_rows(file: Path, tariff: Tariff, *, keep: Sequence[str] = (), day: date | None = None) -> RowFile:
    """Read the rows of a CSV or Parquet file for a tariff.

    Args:
        file: columns by name; what a step reads must be there.
        tariff: says which columns there are and when a day begins.
        keep: columns that are not the tariff's and only travel along.
        day: day of every row, for files without dates.

    Raises TariffFileError naming file, row, column and value: an unknown or missing column, a value that
    cannot be read, no date.
    """
    table = read_table(file)
    known = known_columns(tariff.kind)
    try:
        for name in table.column_names:
            if name not in known and name not in keep:
                kind, there = tariff.kind, ", ".join(known)
                remedy = f"no such column for a {kind} tariff; --keep lets your own travel along; there are: {there}"
                raise ParameterError("header", name, remedy)
        given = {name: _integers(name, table[name]) for name in table.column_names if name in known}
        dated = assemble(tariff, len(table), given, day)
        require_columns(tariff, dated)
        return RowFile(dated, table)
    except ParameterError as error:
        raise TariffFileError(file, error.path, error.value, error.remedy) from error


def read_table(file: Path) -> pa.Table:
    """A CSV (every column as text, empty = null) or Parquet file; TariffFileError when it cannot be read."""
    try:
        if file.suffix == ".parquet":
            return pq.read_table(file)
        with file.open(encoding="utf-8-sig") as stream:
            header = stream.readline().strip().split(",")
        as_text = pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True)
        return pa_csv.read_csv(file, convert_options=as_text)
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise TariffFileError(file, "", str(error).split("\n")[0], "give a CSV (UTF-8) or Parquet file") from error


def write_table(file: Path, columns: Mapping[str, object]) -> None:
    """Write columns as CSV or Parquet, by the file's name."""
    table = pa.table(dict(columns))
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    else:
        pa_csv.write_csv(table, file, pa_csv.WriteOptions(quoting_style="needed"))


def _integers(name: str, column: pa.ChunkedArray) -> Ints:
    """A column as int64; a missing value is NULL."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("s")).cast(pa.int64())
    elif pa.types.is_date(kind):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return _read_text(name, column.cast(pa.string()))
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise ParameterError(name, str(kind), "write an integer: fen, metres, seconds, thousandths of a unit, codes")
    return np.asarray(column.cast(pa.int64()).fill_null(NULL).to_numpy(), np.int64)


def _read_text(name: str, column: pa.ChunkedArray) -> Ints:
    """Each distinct text is read once: a million rows have few classes and not many stations."""
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    indices = np.asarray(encoded.indices.fill_null(len(texts)), np.int64)
    values = np.full(len(texts) + 1, NULL, np.int64)
    for number, text in enumerate(texts):
        try:
            values[number] = read_value(name, text.strip())
        except (ValueError, OverflowError) as error:
            raise ParameterError(place(name, indices == number), text, str(error)) from error
    if name in OWNERS and len(set(values[:-1].tolist())) != len({text.strip() for text in texts}):
        raise ParameterError(name, None, "two owners have come to one number: write numbers")
    return values[indices]
