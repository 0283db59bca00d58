"""The frame of a JT/T 978.4 file: a version line, a header line, one line per record (`card-standards.md` §5.1).

    01
    record count 6 | clearing date 8 | receiver 11 | record length 4 | reserved 20, all F
    …

Lines end in LF; CRs before it belong to the line end (a converter may have run twice). GBK has no trail byte that is
a line end, so the bytes may be cut first.
The record length does not count a TLV part that may follow to the end of the line.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from card_io.delivery.errors import DeliveryFormatError, EmptyDeliveryError

VERSION: Final = b"01"
RECORDS_MAX: Final = 999_999
"""As many records as six digits count; more go into further files."""
FIRST_RECORD_LINE: Final = 3
"""Line of the first record; record n stands on line n + 2."""

_WIDTHS: Final = (("record_count", 6), ("clearing_date", 8), ("receiver", 11), ("record_length", 4), ("reserved", 20))
_HEADER_BYTES: Final = sum(width for _, width in _WIDTHS)


@dataclass(frozen=True, slots=True)
class Header:
    """The second line, without the count of records."""

    clearing_date: datetime.date
    receiver: str
    record_length: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A file cut into its lines; ``records`` are the record lines without their line ends."""

    header: Header
    records: list[bytes]


def read_frame(raw: bytes, file: str) -> Frame:
    """Cut a file into records and check its two head lines.

    Raises:
        EmptyDeliveryError: the file has no bytes.
        DeliveryFormatError: names line, field, value and remedy when a head line is wrong or the count of records is
            not what the header says.
    """
    if not raw:
        raise EmptyDeliveryError(file)
    lines = [line.rstrip(b"\r") for line in raw.split(b"\n")]
    if lines[-1] == b"":
        lines.pop()
    if not lines or lines[0] != VERSION:
        found = lines[0][:20] if lines else b""
        raise DeliveryFormatError(file, f"line 1, version is {found!r}", f"begin the file with {VERSION.decode()}")
    if len(lines) < 2:
        raise DeliveryFormatError(file, "line 2, the header is missing", "send the whole file again")
    count, header = _header(lines[1], file)
    records = lines[2:]
    if count != len(records):
        raise DeliveryFormatError(
            file,
            f"line 2, record_count is {count}, {len(records)} records follow",
            "send the whole file again, or correct the count",
        )
    return Frame(header, records)


def _header(line: bytes, file: str) -> tuple[int, Header]:
    if len(line) != _HEADER_BYTES:
        raise DeliveryFormatError(
            file, f"line 2, the header has {len(line)} bytes", f"a header has {_HEADER_BYTES}: see docs/jtt978.md"
        )
    texts, start = {}, 0
    for name, width in _WIDTHS:
        texts[name] = line[start : start + width].decode("ascii", "replace")
        start += width

    def refuse(name: str, remedy: str) -> DeliveryFormatError:
        return DeliveryFormatError(file, f"line 2, {name} is {texts[name]!r}", remedy)

    for name in ("record_count", "record_length"):
        if not (texts[name].isascii() and texts[name].isdigit()):
            raise refuse(name, "write decimal digits with leading zeros")
    try:
        date = datetime.datetime.strptime(texts["clearing_date"], "%Y%m%d").date()
    except ValueError:
        raise refuse("clearing_date", "write a day as YYYYMMDD") from None
    if f"{date:%Y%m%d}" != texts["clearing_date"]:
        raise refuse("clearing_date", "write a day as YYYYMMDD")
    if not texts["receiver"].isprintable() or not texts["receiver"].isascii() or not texts["receiver"].strip():
        raise refuse("receiver", "write the receiver's institution code")
    if texts["reserved"] != "F" * 20:
        raise refuse("reserved", "fill the reserved part with F")
    return int(texts["record_count"]), Header(date, texts["receiver"].strip(), int(texts["record_length"]))


def write_frame(header: Header, records: Sequence[bytes]) -> bytes:
    """The bytes of a file; at most :data:`RECORDS_MAX` records without line ends."""
    assert len(records) <= RECORDS_MAX, f"{len(records)} records do not fit one file"
    assert len(header.receiver) <= 11, header.receiver
    assert header.receiver.isascii(), header.receiver
    assert not any(b"\n" in record or record.endswith(b"\r") for record in records), "a record is one line"
    head = f"{len(records):06d}{header.clearing_date:%Y%m%d}{header.receiver:<11}{header.record_length:04d}{'F' * 20}"
    return b"\n".join([VERSION, head.encode("ascii"), *records, b""])
