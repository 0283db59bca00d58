"""Card texts → numbers where they are numbers, texts where a source has only those."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from card_io.delivery.columns import Mask, RowFaults, integers_of, mask_of
from card_io.records import CARD_NO

MAX_CARD_DIGITS: Final = 19
"""ISO/IEC 7812 allows 19 digits; 10¹⁹ − 1 still fits uint64."""


def split_cards(
    text: pa.Array, faults: RowFaults, *, opaque: bool = False
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], dict[int, str]]:
    """Card texts as number, digit count and opaque rest.

    Args:
        text: string Arrow array, shape (n,).
        faults: takes the rows without a usable card text.
        opaque: keep every text as it is, digits too (the source masks its card numbers).

    Returns:
        uint64[n] numbers (0 for opaque texts), uint8[n] digit counts (0 for opaque texts), and the opaque
        texts by position.
    """
    if not opaque and (number := _equally_long_numbers(text)) is not None:
        return number, np.full(len(text), len(text[0].as_buffer()), np.uint8), {}
    present = pc.fill_null(text, "")
    length = pc.binary_length(present)
    numeric = pc.and_(pc.ascii_is_decimal(present), pc.less_equal(length, MAX_CARD_DIGITS))
    if opaque:
        numeric = pa.repeat(pa.scalar(False), len(text))
    if pc.all(numeric).as_py() is not False:
        number = integers_of(pc.cast(present, pa.uint64())).astype(np.uint64, copy=False)
        return number, integers_of(length).astype(np.uint8), {}
    number = integers_of(pc.cast(pc.if_else(numeric, present, "0"), pa.uint64())).astype(np.uint64, copy=False)
    digits = integers_of(pc.if_else(numeric, length, 0)).astype(np.uint8)
    return number, digits, _opaque_texts(present, ~mask_of(numeric), faults)


def _equally_long_numbers(text: pa.Array) -> npt.NDArray[np.uint64] | None:
    """uint64[n] numbers of a column of all-digit texts of one length, None for any other column.

    A centre's cards are numbers of one length: read as one matrix of digits, at a fifth of the general cost.
    """
    rows = len(text)
    if not rows or text.null_count or text.type not in (pa.string(), pa.large_string()):
        return None
    _, offsets, data = text.buffers()
    offset = np.frombuffer(offsets, np.int32 if text.type == pa.string() else np.int64)
    start = offset[text.offset : text.offset + rows + 1].astype(np.int64)
    width = int(start[1] - start[0])
    if not 0 < width <= MAX_CARD_DIGITS or np.any(np.diff(start) != width):
        return None
    characters = np.frombuffer(data, np.uint8)[start[0] : start[-1]].reshape(rows, width)
    digits = np.ascontiguousarray(characters.T) - np.uint8(ord("0"))
    if digits.max() > 9:
        return None
    number = np.zeros(rows, np.uint64)
    for place in digits:
        number *= np.uint64(10)
        number += place
    return number


def _opaque_texts(text: pa.Array, opaque: Mask, faults: RowFaults) -> dict[int, str]:
    # Parquet does not check the UTF-8 of its strings, so the bytes are decoded one by one here: these rows
    # become Python strings anyway.
    texts: dict[int, str] = {}
    positions = np.flatnonzero(opaque)
    raw_texts = pc.cast(text.take(pa.array(positions)), pa.binary()).to_pylist()
    for position, raw in zip(positions.tolist(), raw_texts, strict=True):
        decoded = raw.decode("utf-8", errors="replace")
        if decoded and "\ufffd" not in decoded and decoded.isprintable():
            texts[position] = decoded
    unusable = opaque.copy()
    unusable[list(texts)] = False
    # The text is not repeated: what stands in a card column may be a damaged card number.
    faults.add(
        unusable,
        CARD_NO.name,
        lambda position: f"{len(text[position].as_buffer() or b'')} bytes",
        "give the card number, or a printable card text in UTF-8",
    )
    return texts
