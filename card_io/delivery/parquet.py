"""Delivery files in Parquet: one column per engine column, by its own name, plus ``card_no`` as text.

Integer columns may have any integer width, a value has to fit the declared one. Utility files carry their
bills as ``bills: list<struct<…>>`` with the columns of :data:`card_io.records.BILL_FIELDS`. A file may carry
:data:`EXCHANGE`, which no decision reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from card_io.delivery.card_text import split_cards
from card_io.delivery.columns import (
    MAX_BLOCK_ROWS,
    Decoded,
    Mask,
    RowFaults,
    assemble,
    check_names,
    convert_all,
    mask_of,
    no_bills,
    range_remedy,
)
from card_io.delivery.errors import DeliveryFormatError, EmptyDeliveryError
from card_io.records import BILL_FIELDS, CARD_NO, NULL, Columns, Field, Service, fields_of

BILLS: Final = "bills"
"""Name of the child table's column in utility files."""

EXCHANGE: Final = "exchange_sha256"
"""Optional column, 32 bytes: SHA-256 of the exchange with the card in the terminal's capture journal. It is evidence:
it stays in the archived file, is found again by :func:`read_exchange`, and is no engine column."""


def read_parquet(
    source: Path | bytes,
    service: Service,
    *,
    row_groups: Sequence[int] | None = None,
    threads: bool = False,
    name: str | None = None,
) -> Iterator[Decoded]:
    """Decode a Parquet delivery, one block per row group.

    Args:
        source: the file, or its content.
        service: the service whose columns the file must have, all but the optional ones and no others.
        row_groups: which row groups to decode, ascending; None for all of them.
        threads: let Arrow decode columns in parallel.
        name: the file's name in errors; by default the path's name.

    Yields:
        Blocks of at most :data:`~card_io.delivery.columns.MAX_BLOCK_ROWS` rows (a larger row group is
        split), ``source_row`` counted over the whole file. A file of zero rows gives one empty block.

    Raises:
        EmptyDeliveryError: (each while iterating) the file has no bytes.
        DeliveryFormatError: it is not a whole Parquet file, or a column is missing, unknown, twice there or
            of another type.
    """
    file = name if name is not None else (source.name if isinstance(source, Path) else "delivery")
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise EmptyDeliveryError(file)
    with pa.BufferReader(source) if isinstance(source, bytes) else pa.OSFile(str(source)) as handle:
        with _damage_reported(file):
            parquet = pq.ParquetFile(handle)
            schema = parquet.schema_arrow
        _check_schema(schema, service, file)
        decoded_names = [name for name in schema.names if name != EXCHANGE]
        first_row = _first_rows(parquet.metadata, file)
        if parquet.metadata.num_rows == 0:
            yield _decode(pa.RecordBatch.from_pylist([], schema), service, 1)
            return
        for group in range(parquet.num_row_groups) if row_groups is None else row_groups:
            row = first_row[group]
            batches = parquet.iter_batches(
                MAX_BLOCK_ROWS, row_groups=[group], columns=decoded_names, use_threads=threads
            )
            while (batch := _next_batch(batches, file)) is not None:
                yield _decode(batch, service, row)
                row += batch.num_rows
            if row != first_row[group + 1]:
                # A damaged page can end a row group early without an error of Arrow's.
                raise _damage(file, f"row group {group} ends before row {row}, not before {first_row[group + 1]}")


@contextmanager
def _damage_reported(file: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow reports a cut or altered file through whichever layer meets it first.
        raise _damage(file, str(error).strip() or type(error).__name__) from error


def _damage(file: str, cause: str) -> DeliveryFormatError:
    return DeliveryFormatError(file, f"not a whole Parquet file ({cause})", "send the file again")


def _first_rows(metadata: pq.FileMetaData, file: str) -> list[int]:
    """First data row of each row group, and one past the last row of the file."""
    rows = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    first_row = list(accumulate(rows, initial=1))
    if first_row[-1] != metadata.num_rows + 1:
        raise _damage(file, f"its row groups have {first_row[-1] - 1} rows, its footer says {metadata.num_rows}")
    return first_row


def _next_batch(batches: Iterator[pa.RecordBatch], file: str) -> pa.RecordBatch | None:
    with _damage_reported(file):
        return next(batches, None)


def _decode(batch: pa.RecordBatch, service: Service, first_row: int) -> Decoded:
    faults = RowFaults(batch.num_rows)
    cards = split_cards(_text(batch.column(CARD_NO.name)), faults)
    fields = fields_of(service)

    def found(name: str, mask: Mask, values: pa.Array, bounds: tuple[int, int]) -> None:
        faults.add(mask, name, lambda position: values[position].as_py(), range_remedy(bounds))

    there = {field.name: batch.column(field.name) for field in fields if field.name in batch.schema.names}
    columns = convert_all(there, fields, found)
    bills = _bills(batch.column(BILLS), faults) if service is Service.UTILITY else no_bills()
    source_row = np.arange(first_row, first_row + batch.num_rows, dtype=np.int64)
    return assemble(service, source_row, cards, columns, bills, faults)


def read_exchange(path: Path, row: int) -> bytes | None:
    """SHA-256 of the exchange behind data row ``row`` (from 1) of a delivery; None when the file does not say."""
    with pa.OSFile(str(path)) as handle, _damage_reported(path.name):
        parquet = pq.ParquetFile(handle)
        if EXCHANGE not in parquet.schema_arrow.names:
            return None
        column = parquet.read(columns=[EXCHANGE]).column(0)
        return column[row - 1].as_py() if 1 <= row <= len(column) else None


def _text(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def _bills(lists: pa.Array, faults: RowFaults) -> Columns:
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    parent = np.repeat(np.arange(len(lists), dtype=np.int64), counts)
    children = pc.list_flatten(lists)
    # A missing list is a row whose bills got lost; a payment without bills has an empty list.
    faults.add(mask_of(lists.is_null()), BILLS, lambda _: None, "give an empty list where there are no bills")

    def found(name: str, mask: Mask, values: pa.Array, bounds: tuple[int, int]) -> None:
        wrong = np.flatnonzero(mask)
        first_wrong = dict(zip(parent[wrong[::-1]].tolist(), wrong[::-1].tolist(), strict=True))
        rows = np.zeros(len(lists), bool)
        rows[parent[wrong]] = True
        faults.add(rows, f"{BILLS}.{name}", lambda row: values[first_wrong[row]].as_py(), range_remedy(bounds))

    names = [field.name for field in children.type]
    arrays = {name: pc.struct_field(children, name) for name in names}
    return {"bill_row": parent, **convert_all(arrays, BILL_FIELDS, found)}


def _check_schema(schema: pa.Schema, service: Service, file: str) -> None:
    found = list(schema.names)
    if found.count(EXCHANGE) == 1:
        found.remove(EXCHANGE)
        if schema.field(EXCHANGE).type != _EXCHANGE_TYPE:
            raise _wrong_type(file, EXCHANGE, schema.field(EXCHANGE).type, str(_EXCHANGE_TYPE))
    wanted = [CARD_NO.name, *_demanded(fields_of(service))]
    if service is Service.UTILITY:
        wanted.append(BILLS)
    check_names(found, wanted, f"a {service.name.lower()} file", file, optional=_optional(fields_of(service)))
    if not _is_text(schema.field(CARD_NO.name).type):
        raise _wrong_type(file, CARD_NO.name, schema.field(CARD_NO.name).type, "string")
    for field in fields_of(service):
        if field.name in found:
            _check_integer(schema.field(field.name).type, field, field.name, file)
    if service is Service.UTILITY:
        _check_bills(schema.field(BILLS).type, file)


def _check_bills(found: pa.DataType, file: str) -> None:
    is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
    if not is_list or not pa.types.is_struct(found.value_type):
        raise _wrong_type(file, BILLS, found, "list<struct<…>>")
    bill = pa.schema(found.value_type)
    check_names(bill.names, _demanded(BILL_FIELDS), f"column {BILLS}", file, optional=_optional(BILL_FIELDS))
    for field in BILL_FIELDS:
        if field.name in bill.names:
            _check_integer(bill.field(field.name).type, field, f"{BILLS}.{field.name}", file)


def _demanded(fields: tuple[Field, ...]) -> list[str]:
    return [field.name for field in fields if not field.optional]


def _optional(fields: tuple[Field, ...]) -> list[str]:
    return [field.name for field in fields if field.optional]


def _check_integer(found: pa.DataType, field: Field, name: str, file: str) -> None:
    if not pa.types.is_integer(found):
        raise _wrong_type(file, name, found, f"{field.dtype} or another integer width")


def _is_text(found: pa.DataType) -> bool:
    text = found.value_type if pa.types.is_dictionary(found) else found
    return bool(pa.types.is_string(text) or pa.types.is_large_string(text) or pa.types.is_string_view(text))


def _wrong_type(file: str, column: str, found: pa.DataType, expected: str) -> DeliveryFormatError:
    return DeliveryFormatError(
        file, f"column {column} has type {found}, expected {expected}", "write the column with the expected type"
    )


def parquet_schema(service: Service) -> pa.Schema:
    """The Arrow schema :func:`write_parquet` writes for a service."""
    fields = [pa.field(CARD_NO.name, pa.string(), nullable=False)]
    fields += [_arrow_field(field) for field in fields_of(service)]
    if service is Service.UTILITY:
        fields.append(pa.field(BILLS, _BILLS_TYPE, nullable=False))
    return pa.schema(fields)


def _arrow_field(field: Field) -> pa.Field:
    return pa.field(field.name, pa.from_numpy_dtype(np.dtype(field.dtype)), nullable=field.nullable)


_EXCHANGE_TYPE: Final = pa.binary(32)

_BILLS_TYPE: Final = pa.list_(pa.struct([_arrow_field(field) for field in BILL_FIELDS]))


def write_parquet(
    path: Path | BinaryIO,
    service: Service,
    card_no: Sequence[str] | pa.Array,
    columns: Columns,
    bills: Columns | None = None,
    *,
    compression: str = "zstd",
    level: int = 1,
    row_group_rows: int = MAX_BLOCK_ROWS,
    exchange_sha256: Sequence[bytes | None] | None = None,
) -> None:
    """Write a delivery file that :func:`read_parquet` reads back unchanged; simulators and tests use it.

    Args:
        path: the file, overwritten, or a stream.
        service: decides the columns.
        card_no: n card texts.
        columns: every column of ``fields_of(service)``, each of length n; :data:`NULL` becomes null.
        bills: for utility, the :data:`BILL_FIELDS` columns and ``bill_row`` int64, the position of each
            bill's parent row; None for no bills.
        compression: Parquet codec.
        level: compression level of codecs that have one.
        row_group_rows: most rows per row group.
        exchange_sha256: of each row's exchange with the card, 32 bytes or None; None = the file has no such column.

    Raises:
        KeyError: a column is missing.
        OverflowError: a value does not fit its declared dtype.
    """
    arrays = [pa.array(card_no, pa.string())]
    arrays += [_arrow_column(columns[field.name], field) for field in fields_of(service)]
    if service is Service.UTILITY:
        arrays.append(_bill_lists(bills if bills is not None else no_bills(), len(card_no)))
    table = pa.Table.from_arrays(arrays, schema=parquet_schema(service))
    if exchange_sha256 is not None:
        table = table.append_column(EXCHANGE, pa.array(exchange_sha256, _EXCHANGE_TYPE))
    pq.write_table(table, path, compression=compression, compression_level=level, row_group_size=row_group_rows)


def _arrow_column(values: npt.NDArray[np.generic], field: Field) -> pa.Array:
    column = np.asarray(values)
    if len(column) and not np.can_cast(column.dtype, field.dtype):
        low, high = int(column.min()), int(column.max())
        info = np.iinfo(field.dtype)
        if low < info.min or high > info.max:
            raise OverflowError(f"{field.name} has {low} … {high}, {field.dtype} does not hold them")
    column = column.astype(field.dtype, copy=False)
    return pa.array(column, mask=column == NULL if field.nullable else None)


def _bill_lists(bills: Columns, rows: int) -> pa.Array:
    parent = bills["bill_row"].astype(np.int64, copy=False)
    order = np.argsort(parent, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=rows))]).astype(np.int32)
    children = pa.StructArray.from_arrays(
        [_arrow_column(bills[field.name][order], field) for field in BILL_FIELDS],
        fields=list(_BILLS_TYPE.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(offsets), children, type=_BILLS_TYPE)
