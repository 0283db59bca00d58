"""Arrow columns → the engine's numpy columns, one block at a time, without touching good rows one by one.

Every codec ends here: it hands over an integer Arrow array per engine column, and gets the declared dtype
back together with the rows whose value the column cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from card_io.delivery.errors import DeliveryFormatError
from card_io.records import (
    BILL_FIELDS,
    MEDICAL_FIELDS,
    NULL,
    Columns,
    Field,
    RecordBlock,
    Service,
    UnreadableRow,
)

Decoded = tuple[RecordBlock, list[UnreadableRow]]
"""The readable rows of one block and the rows of the same block that could not be decoded."""

Mask = npt.NDArray[np.bool_]

MAX_BLOCK_ROWS: Final = 1 << 20
"""Most rows of one block; also pyarrow's default row group, so foreign files need no second size."""

_SHOWN_CHARACTERS: Final = 64

_UINT32: Final = (0, 2**32 - 1)

_WIRE_RANGES: Final = {
    # The TAC covers these in fewer bytes than their column has; a wider value would be cut when it is
    # verified and so could pass under the TAC of another transaction.
    "amount": _UINT32,
    "card_counter": _UINT32,
    "terminal_counter": _UINT32,
    "tac": _UINT32,
    "terminal_id": (0, 2**48 - 1),
    "time3": (0, 2**24 - 1),
}

_SIGNED: Final = frozenset(
    # Overdrawn purses, credited bills, and the amounts of a cancelling medical settlement (2208).
    ["balance_before", "balance_after", "usage", "bill_amount"]
    + [field.name for field in MEDICAL_FIELDS if field.dtype == "int64" and not field.nullable]
)


def allowed_range(field: Field) -> tuple[int, int]:
    """Least and greatest value of a column, both included; :data:`NULL` is outside of every range."""
    if field.name in _WIRE_RANGES:
        return _WIRE_RANGES[field.name]
    info = np.iinfo(np.dtype(field.dtype))
    if field.dtype != "int64":
        return 0, int(info.max)
    return (NULL + 1 if field.name in _SIGNED else 0), int(info.max)


def range_remedy(bounds: tuple[int, int]) -> str:
    """What to tell the sender of a value outside its column's range."""
    return f"give an integer from {bounds[0]} to {bounds[1]}"


class RowFaults:
    """The first fault of each unreadable row of one block."""

    def __init__(self, rows: int) -> None:
        self.bad: Mask = np.zeros(rows, bool)
        self._first: dict[int, tuple[str, str, str]] = {}

    def add(self, mask: Mask, field: str, value_at: Callable[[int], object], remedy: str) -> None:
        """Mark the rows of `mask` (shape (rows,)) that have no earlier fault.

        `value_at(position)` gives the source value to show; None is shown as "null".
        """
        for position in np.flatnonzero(mask & ~self.bad).tolist():
            self._first[position] = (field, shown(value_at(position)), remedy)
        self.bad |= mask

    def rows(self, source_row: npt.NDArray[np.int64]) -> list[UnreadableRow]:
        """The unreadable rows in source order; `source_row` is int64[rows]."""
        return [UnreadableRow(int(source_row[position]), *self._first[position]) for position in sorted(self._first)]


def shown(value: object) -> str:
    """A source value as a finding quotes it: never longer than a line."""
    text = "null" if value is None else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def mask_of(array: pa.Array) -> Mask:
    """bool[n] of a null-free boolean Arrow array."""
    mask: Mask = array.to_numpy(zero_copy_only=False)
    return mask


def integer_column(
    values: pa.Array, field: Field, bounds: tuple[int, int]
) -> tuple[npt.NDArray[np.generic], Mask | None]:
    """One integer column in its declared dtype.

    Args:
        values: integer Arrow array of any width, shape (n,).
        field: the column it becomes.
        bounds: least and greatest accepted value.

    Returns:
        The column, shape (n,), read-only where it is a view of the Arrow buffer, with :data:`NULL` where a
        nullable value is missing; and the mask of rows whose value the column cannot hold (their entry in
        the column is meaningless), None if there is none.
    """
    if values.null_count == len(values) and field.nullable:
        return missing_column(len(values)), None
    if values.null_count and field.nullable and _within(values, bounds):
        # The usual case of a nullable column: one copy, with the missing value in place.
        return integers_of(values.cast(pa.int64()).fill_null(NULL)), None
    missing = mask_of(values.is_null()) if values.null_count else None
    raw = integers_of(values.fill_null(0) if values.null_count else values)
    outside = _outside(raw, bounds)
    column = raw.astype(field.dtype, copy=False)
    if missing is None:
        return column, outside
    if field.nullable:
        return np.where(missing, np.int64(NULL), column), outside
    return column, missing if outside is None else missing | outside


def _within(values: pa.Array, bounds: tuple[int, int]) -> bool:
    """Whether every value that is there lies within the bounds (and so, with NULL below them, fits int64)."""
    found = pc.min_max(values)
    low, high = found["min"].as_py(), found["max"].as_py()
    return low is None or (bounds[0] <= low and high <= bounds[1])


def integers_of(array: pa.Array) -> npt.NDArray[np.integer[Any]]:
    """The values of a null-free integer Arrow array, shape (n,): a read-only view, not a copy."""
    values: npt.NDArray[np.integer[Any]] = array.to_numpy(zero_copy_only=False)
    return values


def _outside(raw: npt.NDArray[np.integer[Any]], bounds: tuple[int, int]) -> Mask | None:
    low, high = bounds
    width = np.iinfo(raw.dtype)
    # A width that cannot leave the bounds is not read a second time.
    if len(raw) == 0 or (width.min >= low and width.max <= high):
        return None
    if int(raw.min()) >= low and int(raw.max()) <= high:
        return None
    return np.asarray((raw < low) | (raw > high))


def assemble(
    service: Service,
    source_row: npt.NDArray[np.int64],
    cards: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], dict[int, str]],
    columns: Columns,
    bills: Columns,
    faults: RowFaults,
) -> Decoded:
    """The block of the readable rows, in source order, and the unreadable ones.

    All arrays have one entry per source row; `bills` has ``bill_row`` positions among all source rows.
    """
    number, digits, texts = cards
    if not faults.bad.any():
        return RecordBlock(service, source_row, number, digits, texts, columns, bills), []
    keep = ~faults.bad
    kept = np.flatnonzero(keep)
    position_after = np.cumsum(keep) - 1
    block = RecordBlock(
        service=service,
        source_row=source_row[kept],
        card_number=number[kept],
        card_digits=digits[kept],
        card_text={int(position_after[row]): text for row, text in texts.items() if keep[row]},
        columns=_kept_columns(columns, faults.bad, kept),
        bills=_kept_bills(bills, keep, position_after),
    )
    return block, faults.rows(source_row)


def _kept_columns(columns: Columns, bad: Mask, kept: npt.NDArray[np.int64]) -> Columns:
    """The columns at the rows ``kept``. Bad rows are few: whole runs between them are copied faster than rows."""
    first_after = np.flatnonzero(bad) + 1
    if len(first_after) > len(bad) >> 6:
        return {name: values[kept] for name, values in columns.items()}
    runs = [slice(start, stop - 1) for start, stop in pairwise([0, *first_after.tolist(), len(bad) + 1])]
    return {name: np.concatenate([values[run] for run in runs]) for name, values in columns.items()}


def _kept_bills(bills: Columns, keep: Mask, position_after: npt.NDArray[np.int64]) -> Columns:
    kept = {name: values[keep[bills["bill_row"]]] for name, values in bills.items()}
    return {**kept, "bill_row": position_after[kept["bill_row"]]}


def no_bills() -> Columns:
    """The bills of a block that has none: empty columns with their declared dtypes."""
    columns: Columns = {field.name: np.empty(0, field.dtype) for field in BILL_FIELDS}
    return {"bill_row": np.empty(0, np.int64), **columns}


def missing_column(rows: int) -> npt.NDArray[np.int64]:
    """A nullable column that has no value in any row, int64[rows]."""
    return np.full(rows, NULL, np.int64)


def check_names(
    found: list[str], wanted: list[str], owner: str, file: str, *, optional: Collection[str] = ()
) -> None:
    """Demand that a file has each wanted column once and no other but the optional ones, in any order.

    Raises:
        DeliveryFormatError: a column is missing, unknown or there twice; `owner` says what should have it.
    """
    if missing := [name for name in wanted if name not in found]:
        raise DeliveryFormatError(
            file, f"{owner} lacks column {', '.join(missing)}", "add it, with missing values if there are none"
        )
    if unknown := [name for name in found if name not in wanted and name not in optional]:
        raise DeliveryFormatError(
            file, f"{owner} must not have column {', '.join(unknown)}", "leave it out, or name another profile"
        )
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise DeliveryFormatError(file, f"{owner} has column {', '.join(twice)} twice", "give it once")


def convert_all(
    arrays: Mapping[str, pa.Array],
    fields: tuple[Field, ...],
    found: Callable[[str, Mask, pa.Array, tuple[int, int]], None],
) -> Columns:
    """Every field's column from its integer Arrow array; `found(name, mask, array, bounds)` per fault.

    An optional field without an array is missing throughout.
    """
    columns: Columns = {}
    rows = len(next(iter(arrays.values())))
    for field in fields:
        if field.optional and field.name not in arrays:
            columns[field.name] = missing_column(rows)
            continue
        bounds = allowed_range(field)
        columns[field.name], outside = integer_column(arrays[field.name], field, bounds)
        if outside is not None:
            found(field.name, outside, arrays[field.name], bounds)
    return columns
