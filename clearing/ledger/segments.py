"""Segments: the decided rows of a batch, immutable Parquet without card numbers (DESIGN §8).

``segments/<service>/<batch>-<partition>.parquet`` holds source and decided columns of one service; for utility
payments ``segments/bill/…`` is the child table; ``segments/unreadable/…`` lists rows that could not be decoded.
Missing values are Parquet nulls. A segment is truth once a batch entry names its SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from card_io.records import BILL_FIELDS, NULL, Columns, Field, Service, UnreadableRow, fields_of
from clearing.calendar import NO_DAY
from clearing.durable import WriteBehind
from clearing.errors import EvidenceError
from clearing.records import DECIDED_FIELDS, Rows, empty_bills

BILL_EXTRA: Final = (
    Field("txn_id", "int64", "the payment"),
    Field("bill_no", "int64", "position of the bill in its payment's file"),
    Field("bill_paid", "uint8", "1 = this payment paid the bill"),
    Field("window", "int32", "business date of the payment"),
    Field("sign", "int8", "of the payment's row"),
    Field("event", "uint8", "of the payment's row"),
)
DAY_COLUMNS: Final = frozenset({"received_window", "operating_day", "window"})
TIME_COLUMNS: Final = frozenset({"txn_time", "entry_time"})


def segment_fields(service: Service) -> tuple[Field, ...]:
    """Columns of a service's segments in order: decided first."""
    return (*DECIDED_FIELDS, *fields_of(service))


def write_segment(path: Path, parts: list[Rows], disk: WriteBehind) -> dict[str, Any]:
    """Begin to write rows of one service, block after block; returns what the batch entry says of the segment."""
    fields = segment_fields(parts[0].service)
    columns = [pa.chunked_array([_arrow(rows[f.name], f) for rows in parts]) for f in fields]
    # A column that says that it has no missing values is written without a level per value.
    schema = pa.schema([pa.field(f.name, c.type, _may_lack(f)) for f, c in zip(fields, columns, strict=True)])
    return _write(path, pa.table(columns, schema), disk)


def write_bills(path: Path, parts: list[Rows], disk: WriteBehind) -> dict[str, Any]:
    """Begin to write the bills of utility rows; returns what the batch entry says of the segment."""
    return _write(path, pa.concat_tables([_bills(rows) for rows in parts]), disk)


def _bills(rows: Rows) -> pa.Table:
    parent = rows.bills["bill_row"].astype(np.int64)
    columns = {field.name: _arrow(rows.bills[field.name], field) for field in BILL_FIELDS}
    columns["txn_id"] = pa.array(rows["txn_id"][parent])
    columns["bill_no"] = pa.array(np.arange(len(parent), dtype=np.int64))
    columns["bill_paid"] = pa.array(rows.bills["bill_paid"])
    columns["window"] = pa.array(rows["window"][parent]).view(pa.date32())
    columns["sign"] = pa.array(rows["sign"][parent])
    columns["event"] = pa.array(rows["event"][parent])
    return pa.table(columns)


def write_unreadable(path: Path, rows: Iterable[tuple[int, UnreadableRow]], disk: WriteBehind) -> dict[str, Any]:
    """Begin to write (file_no, unreadable row) pairs; a card number never leaves through the value shown."""
    listed = list(rows)
    table = pa.table(
        {
            "txn_id": pa.array([(file_no << 32) + row.source_row for file_no, row in listed], pa.int64()),
            "field": [row.field for _, row in listed],
            "value": ["****" if row.field == "card_no" else row.value for _, row in listed],
            "remedy": [row.remedy for _, row in listed],
        }
    )
    return _write(path, table, disk)


def _may_lack(field: Field) -> bool:
    return field.nullable or field.name in DAY_COLUMNS or field.name in TIME_COLUMNS


def _arrow(values: npt.NDArray[Any], field: Field) -> pa.Array:
    """Days as dates and times as timestamps for those who query; missing values as nulls."""
    if field.name in DAY_COLUMNS:
        return pa.array(values.astype(np.int32, copy=False), mask=values == NO_DAY).view(pa.date32())
    missing = values == NULL if field.nullable or field.name in TIME_COLUMNS else None
    array = pa.array(values, mask=missing if missing is not None and missing.any() else None)
    return array.view(pa.timestamp("s")) if field.name in TIME_COLUMNS else array


def _write(path: Path, table: pa.Table, disk: WriteBehind) -> dict[str, Any]:
    """Byte streams split, then LZ4: less than half the time and bytes of LZ4 alone (docs/decisions/0006)."""
    split = {f.name: "BYTE_STREAM_SPLIT" for f in table.schema if not pa.types.is_string(f.type)}
    file = pa.BufferOutputStream()
    pq.write_table(
        table,
        file,
        compression="lz4",
        use_dictionary=False,
        column_encoding=split,
        write_statistics=["txn_id", "card_id", "window"],
        row_group_size=1 << 20,
        store_schema=False,
    )
    content = memoryview(file.getvalue())
    disk.write(path, content)
    name = f"{path.parent.name}/{path.name}"
    return {"name": name, "rows": len(table), "sha256": hashlib.sha256(content).hexdigest()}


def read_segment(folder: Path, name: str, *, bills: str | None = None) -> Rows:
    """The rows of one segment, with its bills' child table when named.

    Raises:
        EvidenceError: the file is missing or no segment.
    """
    service = Service[name.split("/")[0].upper()]
    table = _read(folder / name)
    columns = _columns(table, segment_fields(service))
    return Rows(service, columns, _read_bills(folder, bills, columns) if bills else empty_bills())


def _read_bills(folder: Path, name: str, columns: Columns) -> Columns:
    table = _read(folder / name)
    bills = _columns(table, BILL_FIELDS)
    bills["bill_paid"] = _numpy(table.column("bill_paid"), np.dtype(np.uint8))
    # An event segment holds a payment twice, as reversal and as new decision: the sign tells them apart.
    order = np.lexsort((columns["sign"], columns["txn_id"]))
    key = columns["txn_id"][order] * 2 + (columns["sign"][order] > 0)
    wanted = _numpy(table.column("txn_id"), np.dtype(np.int64)) * 2
    wanted = wanted + (_numpy(table.column("sign"), np.dtype(np.int8)) > 0)
    bills["bill_row"] = order[np.searchsorted(key, wanted)]
    return bills


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:  # a data set of one file would look for partitions
            return file.read()
    except (OSError, pa.ArrowInvalid) as exc:
        raise EvidenceError("segment is missing or damaged", where=path, remedy="restore it from backup") from exc


def _columns(table: pa.Table, fields: Iterable[Field]) -> Columns:
    """The columns of a segment; one that an older engine did not write is missing throughout."""
    there = dict(zip(table.column_names, table.columns, strict=True))
    return {
        field.name: _numpy(there[field.name], np.dtype(field.dtype))
        if field.name in there
        else np.full(len(table), NULL if field.nullable else 0, field.dtype)
        for field in fields
    }


def _numpy(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    missing = NULL
    if pa.types.is_date32(column.type):
        column, missing = column.cast(pa.int32()), NO_DAY
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s")).cast(pa.int64())
    filled = column.fill_null(missing) if column.null_count else column
    return np.asarray(filled.to_numpy()).astype(dtype, copy=False)


def unreadable_rows(folder: Path, name: str) -> npt.NDArray[np.int64]:
    """int64[n] txn_id of the rows an unreadable segment lists."""
    return np.asarray(_read(folder / name).column("txn_id").to_numpy(), np.int64)
