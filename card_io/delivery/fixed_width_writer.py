"""Records → fixed-width lines in a JT/T 978.4 frame, by the same profile that reads them back."""

from __future__ import annotations

from collections.abc import Mapping

from card_io.delivery.errors import DeliveryError
from card_io.delivery.jtt978_frame import Header, write_frame
from card_io.delivery.profile import CardColumn, Column, FixedWidth, HexColumn, IntColumn, MapColumn, Profile
from card_io.records import NULL, RecordBlock


class NotWritableError(DeliveryError):
    """A record has a value that the layout cannot hold; nothing was written."""


def write_fixed_width(block: RecordBlock, profile: Profile, header: Header) -> bytes:
    """One file of all records of a block, in their order.

    Args:
        block: records of the profile's service; at most as many as one file holds.
        profile: a profile with a fixed-width layout.
        header: clearing date and receiver; its record length is set by the layout.

    Raises:
        NotWritableError: names row, field and value when a value does not fit.
    """
    layout = profile.layout
    assert isinstance(layout, FixedWidth)
    assert block.service is profile.record_service
    columns = {column.source: column for column in profile.columns}
    fixed = []
    for field in layout.fields:
        column = columns[field.name]
        if isinstance(column, CardColumn):
            texts = card_texts(block)
        elif isinstance(column, IntColumn | HexColumn | MapColumn):
            texts = [_filled(column, value, field.width) for value in block.columns[column.field].tolist()]
        else:
            texts = [""] * len(block)
        fixed.append([_fitting(text, field.width, field.name, row) for row, text in enumerate(texts)])
    tails = _tails(block, layout, columns)
    lines = [("".join(parts) + tail).encode("gbk") for *parts, tail in zip(*fixed, tails, strict=True)]
    return write_frame(Header(header.clearing_date, header.receiver, layout.record_lengths[0]), lines)


def card_texts(block: RecordBlock) -> list[str]:
    """The card number or opaque text of each record."""
    numbers = zip(block.card_number.tolist(), block.card_digits.tolist(), strict=True)
    return [
        f"{number:0{digits}d}" if digits else block.card_text[row] for row, (number, digits) in enumerate(numbers)
    ]


def _filled(column: IntColumn | HexColumn | MapColumn, value: int, width: int) -> str:
    if value == NULL:
        return ""
    match column:
        case MapColumn():
            return {number: text for text, number in column.values.items()}.get(value, "?" * (width + 1))
        case HexColumn():
            return f"{value:0{width}X}"
        case IntColumn():
            return f"{value:0{width}d}"


def _fitting(text: str, width: int, field: str, row: int) -> str:
    if len(text) > width or not text.isascii():
        raise NotWritableError(
            f"row {row + 1}, {field}: {text[:40]!r} does not fit {width} characters", "deliver the file as Parquet"
        )
    return text.ljust(width)


def _tails(block: RecordBlock, layout: FixedWidth, columns: Mapping[str, Column]) -> list[str]:
    values = {}
    for name in layout.tags:
        column = columns[name]
        assert isinstance(column, HexColumn), f"{name}: a TLV object is mapped as hex"
        values[name] = block.columns[column.field].tolist()
    return tlv_texts(values, layout, len(block))


def tlv_texts(values: Mapping[str, list[int]], layout: FixedWidth, rows: int) -> list[str]:
    """The TLV part of each line as hex text: big-endian integers in the fewest bytes; missing values are left out.

    Args:
        values: integers per source name of ``layout.tags``, :data:`NULL` where missing.

    Raises:
        NotWritableError: a line has more TLV data than the layout allows.
    """
    tails = [""] * rows
    for name, tag in layout.tags.items():
        for row, value in enumerate(values[name]):
            if value != NULL:
                octets = max((value.bit_length() + 7) // 8, 1)
                tails[row] += f"{tag}{octets:02X}{value:0{2 * octets}X}"
    for row, tail in enumerate(tails):
        if len(tail) > 2 * layout.tlv_bytes_max:
            raise NotWritableError(
                f"row {row + 1}: {len(tail) // 2} bytes of TLV data", "deliver the file as Parquet"
            )
    return tails
