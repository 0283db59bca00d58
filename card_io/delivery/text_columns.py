"""Texts of a delimited or JSON source → the engine's columns, by the rules of a profile.

Every conversion works on a whole column. A text that does not fit is never repaired: its row becomes
unreadable, under the sender's own column name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from card_io.delivery.card_text import split_cards
from card_io.delivery.columns import (
    Decoded,
    RowFaults,
    allowed_range,
    assemble,
    integer_column,
    mask_of,
    missing_column,
    no_bills,
    range_remedy,
)
from card_io.delivery.pattern import DatePattern
from card_io.delivery.profile import (
    CardColumn,
    CodeColumn,
    DatetimeColumn,
    DroppedColumn,
    FieldColumn,
    HexColumn,
    IntColumn,
    MapColumn,
    Profile,
)
from card_io.records import Columns, Field, fields_of

_INTEGER: Final = r"^-?[0-9]{1,18}$"
_YUAN: Final = r"^-?[0-9]{1,16}(\.[0-9]{1,2})?$"
_HEX: Final = r"^[0-9A-Fa-f]{1,16}$"


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Rows as texts.

    Attributes:
        source_row: int64[n], 1-based data rows.
        texts: string Arrow array of length n per source column; null = absent.
        faults: of these n rows so far.
    """

    source_row: npt.NDArray[np.int64]
    texts: Mapping[str, pa.Array]
    faults: RowFaults


def code_of(text: str) -> int:
    """Stable number of a name: the first 8 bytes of BLAKE2b-512 of its NFC form in UTF-8, big endian, the
    top bit cleared. Nothing is trimmed: names that differ in a space are two names.
    """
    digest = blake2b(unicodedata.normalize("NFC", text).encode()).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


def decode_texts(block: TextBlock, profile: Profile) -> Decoded:
    """The readable rows of a block as records, and the unreadable ones."""
    faults = block.faults
    spellings = pa.array(profile.missing, pa.string())
    texts = {source: pc.if_else(pc.is_in(text, spellings), None, text) for source, text in block.texts.items()}
    cards = None
    arrays: dict[str, tuple[str, pa.Array]] = {}
    for column in profile.columns:
        text = texts[column.source]
        match column:
            case CardColumn():
                cards = split_cards(text, faults, opaque=column.kind == "text_card")
            case DatetimeColumn():
                dated = _dated(text, column.pattern, column.source, faults)
                arrays |= {field: (column.source, values) for field, values in dated.items()}
            case DroppedColumn():
                if column.pattern is not None:
                    _dated(text, column.pattern, column.source, faults)
            case _:
                arrays[column.field] = (column.source, _converted(column, texts, faults))
    assert cards is not None, "a validated profile has a card column"
    columns = _engine_columns(block, arrays, profile)
    return assemble(profile.record_service, block.source_row, cards, columns, no_bills(), faults)


def _engine_columns(block: TextBlock, arrays: dict[str, tuple[str, pa.Array]], profile: Profile) -> Columns:
    rows = len(block.source_row)
    columns: Columns = {}
    for field in fields_of(profile.record_service):
        if field.name in profile.constants:
            columns[field.name] = np.full(rows, profile.constants[field.name], field.dtype)
        elif field.name not in arrays:
            columns[field.name] = missing_column(rows)
        else:
            source, values = arrays[field.name]
            if field.name == "card_counter" and profile.card_counter == "after":
                values = pc.subtract(values, 1)
            text_at = _reader_of(block.texts[source])
            if values.null_count and not field.nullable:
                absent = mask_of(values.is_null())
                block.faults.add(absent, source, text_at, f"give a value: {field.name} is never missing")
            bounds = _bounds(field, profile)
            columns[field.name], outside = integer_column(values, field, bounds)
            if outside is not None:
                block.faults.add(outside, source, text_at, range_remedy(bounds))
    return columns


def _reader_of(texts: pa.Array) -> Callable[[int], object]:
    return lambda row: texts[row].as_py()


def _bounds(field: Field, profile: Profile) -> tuple[int, int]:
    low, high = allowed_range(field)
    if field.name in ("balance_before", "balance_after") and profile.balances == "unsigned":
        low = 0
    return low, high


def _converted(column: FieldColumn, texts: Mapping[str, pa.Array], faults: RowFaults) -> pa.Array:
    text = texts[column.source]
    if column.when is not None:
        applies = pc.is_in(texts[column.when.source], pa.array(column.when.values, pa.string()))
        text = pc.if_else(applies, text, None)
    match column:
        case IntColumn(unit="yuan"):
            return _fen_of_yuan(_matching(text, _YUAN, column.source, "write yuan as 12.34", faults))
        case IntColumn():
            return pc.cast(_matching(text, _INTEGER, column.source, "write a decimal integer", faults), pa.int64())
        case HexColumn():
            digits = _matching(text, _HEX, column.source, "write at most 16 hex digits", faults)
            return pc.cast(pc.binary_join_element_wise("0x", digits, ""), pa.uint64())
        case MapColumn():
            return _mapped(text, column, faults)
        case CodeColumn():
            return _coded(text, column, faults)


def _dated(text: pa.Array, pattern_text: str, source: str, faults: RowFaults) -> dict[str, pa.Array]:
    pattern = DatePattern(pattern_text)
    good = _matching(text, pattern.regex, source, f"write it as {pattern.text}", faults)
    return {field: pattern.bcd(field, good) for field in pattern.fields}


def _matching(text: pa.Array, regex: str, source: str, remedy: str, faults: RowFaults) -> pa.Array:
    """The texts that match, null elsewhere; present texts that do not match are faults."""
    matches = pc.match_substring_regex(text, regex)
    faults.add(mask_of(pc.fill_null(pc.invert(matches), False)), source, _reader_of(text), remedy)
    return pc.if_else(matches, text, None)


def _fen_of_yuan(yuan: pa.Array) -> pa.Array:
    hundred = pa.scalar(Decimal(100), pa.decimal128(3, 0))
    return pc.cast(pc.multiply(pc.cast(yuan, pa.decimal128(18, 2)), hundred), pa.int64())


def _mapped(text: pa.Array, column: MapColumn, faults: RowFaults) -> pa.Array:
    index = pc.index_in(text, pa.array(list(column.values), pa.string()))
    unknown = mask_of(pc.and_not(text.is_valid(), index.is_valid()))
    faults.add(unknown, column.source, _reader_of(text), f"add it to the profile's map of {column.field}")
    return pa.array(list(column.values.values()), pa.int64()).take(index)


def _coded(text: pa.Array, column: CodeColumn, faults: RowFaults) -> pa.Array:
    encoded = text.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = pa.array([code_of(name) if _is_name(name) else None for name in names], pa.int64())
    values = codes.take(encoded.indices)
    unnamed = mask_of(pc.and_not(text.is_valid(), values.is_valid()))
    faults.add(unnamed, column.source, lambda row: repr(text[row].as_py()), "write a name, or list it as missing")
    return values


def _is_name(text: str) -> bool:
    # A line break inside a name is the trace of an unclosed quote that swallowed rows.
    return bool(text) and not any(unicodedata.category(character) == "Cc" for character in text)
