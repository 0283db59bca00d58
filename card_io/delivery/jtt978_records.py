"""Records of the JT/T 978.4 files a clearing centre writes and reads: CD, FB, CL, LD, CR, BP (`jtt978_records.csv`).

CL and FB have the widths recovered from an implementation; no layout of CD, LD, CR and BP was published, so those
are this project's own and unproven. In `number` fields a missing value is blank, a negative one begins with a minus.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal

from card_io.delivery.errors import DeliveryFormatError
from card_io.delivery.jtt978_frame import FIRST_RECORD_LINE, Header, read_frame

Kind = Literal["number", "code", "hex", "date", "time", "text"]
Value = int | str | None


@dataclass(frozen=True, slots=True)
class TextField:
    """One field: ``width`` bytes.

    number: decimal, leading zeros; hex, date and time: big-endian integers as upper-case hex digits, leading zeros (a
    BCD date reads as it stands); code: printable ASCII, text: GBK, both with spaces behind.
    """

    name: str
    width: int
    kind: Kind
    zh: str


@dataclass(frozen=True, slots=True)
class LineFault:
    """A record line that cannot be read: file, line, field, what stands there, and what to do."""

    file: str
    line: int
    field: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One kind of record line."""

    name: str
    fields: tuple[TextField, ...]

    @property
    def length(self) -> int:
        """Bytes of the fixed part."""
        return sum(field.width for field in self.fields)

    def encode(self, columns: Mapping[str, Sequence[Value]]) -> list[bytes]:
        """Record lines from equally long columns of every field.

        Raises:
            ValueError: names record, field, row and value when one does not fit.
        """
        written = []
        for field in self.fields:
            texts = [_written(field, value) for value in columns[field.name]]
            for row, text in enumerate(texts):
                if len(text) != field.width:
                    raise ValueError(
                        f"{self.name}.{field.name}, row {row + 1}: {columns[field.name][row]!r} does not fit"
                    )
            written.append(texts)
        return [b"".join(parts) for parts in zip(*written, strict=True)]


def _declared() -> dict[str, TextRecord]:
    found: dict[str, list[TextField]] = {}
    text = (files("card_io.delivery") / "jtt978_records.csv").read_text("utf-8")
    for row in csv.DictReader(io.StringIO(text)):
        kind: Any = row["kind"]
        found.setdefault(row["record"], []).append(TextField(row["field"], int(row["width"]), kind, row["zh"]))
    return {name: TextRecord(name, tuple(fields)) for name, fields in found.items()}


RECORDS: Final = _declared()
"""The declared records by name."""

Rule = Callable[[dict[str, Value]], str | None]


def _add_up(whole: str, *parts: str) -> Rule:
    def check(row: dict[str, Value]) -> str | None:
        values = [row[name] or 0 for name in (whole, *parts)]
        total, *rest = (value for value in values if isinstance(value, int))
        return None if total == sum(rest) else f"{total} is not the sum of {', '.join(parts)}: {sum(rest)}"

    return check


_RULES: Final[dict[str, tuple[tuple[str, Rule], ...]]] = {
    "LD": (
        (
            "rows",
            _add_up("rows", "accepted_rows", "held_rows", "rejected_rows", "duplicate_rows", "unreadable_rows"),
        ),
    ),
}
"""What must hold inside one record, by the field that is blamed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A file read: its header, its rows with their line numbers, and the lines that could not be read.

    ``rows`` have every field of the record, and ``tlv`` with what follows the fixed part, as text.
    """

    header: Header
    rows: list[tuple[int, dict[str, Value]]]
    faults: list[LineFault]

    def total(self, field: str) -> int:
        """Sum of a number over the readable rows."""
        return sum(value for _, row in self.rows if isinstance(value := row[field], int))


def read_records(raw: bytes, file: str, record: TextRecord) -> Reading:
    """Read a file of one kind of record; every line ends as a row or as a fault.

    The header's record length decides where the TLV part begins. It may differ from the declared one only in the last
    field: implementations of CL disagree on its width.

    Raises:
        EmptyDeliveryError, DeliveryFormatError: the file is refused as a whole; line, field and remedy are named.
    """
    frame = read_frame(raw, file)
    spare = frame.header.record_length - (record.length - record.fields[-1].width)
    if spare < 1:
        raise DeliveryFormatError(
            file,
            f"line 2, record_length is {frame.header.record_length}",
            f"a {record.name} record has {record.length}",
        )
    rows, faults = [], []
    for number, line in enumerate(frame.records, FIRST_RECORD_LINE):
        row = _read_line(line, record, frame.header.record_length)
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            faults.append(LineFault(file, number, *row))
    return Reading(frame.header, rows, faults)


def _read_line(line: bytes, record: TextRecord, length: int) -> dict[str, Value] | tuple[str, str, str]:
    """The fields of one line, or field, value and remedy of its first fault."""
    if len(line) < length:
        return "the line", f"{len(line)} bytes", f"write {length} bytes"
    row: dict[str, Value] = {}
    start = 0
    for field in record.fields:
        end = length if field is record.fields[-1] else start + field.width
        text = _text_of(line[start:end], field)
        value = text if isinstance(text, tuple) else _value(text, field)
        if isinstance(value, tuple):
            return value
        row[field.name], start = value, end
    tail = line[length:]
    if not tail.isascii():
        return "TLV", f"{len(tail)} bytes", "write pairs of hex digits"
    row["tlv"] = tail.decode("ascii")
    for name, rule in _RULES.get(record.name, ()):
        if broken := rule(row):
            return name, broken, "correct the sender's sums"
    return row


def _text_of(raw: bytes, field: TextField) -> str | tuple[str, str, str]:
    try:
        text = raw.decode("gbk" if field.kind == "text" else "ascii")
    except UnicodeDecodeError:
        return field.name, f"{len(raw)} bytes", f"write {'GBK text' if field.kind == 'text' else 'ASCII'}"
    return text.rstrip(" ")


_DIGITS: Final = {"hex": "0123456789ABCDEF", "date": "0123456789ABCDEF", "time": "0123456789ABCDEF"}


def _value(text: str, field: TextField) -> Value | tuple[str, str, str]:
    if field.kind in ("code", "text"):
        if not text.isprintable():
            return field.name, repr(text)[:40], "write printable characters"
        return text
    if not text:
        return None
    if field.kind == "number":
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            return field.name, repr(text)[:40], "write a decimal number with leading zeros"
        return int(text)
    if any(letter not in _DIGITS[field.kind] for letter in text):
        return field.name, repr(text)[:40], "write upper-case hex digits"
    return int(text, 16)


def _written(field: TextField, value: Value) -> bytes:
    if value is None:
        return b" " * field.width
    if field.kind == "number":
        return f"{value:0{field.width}d}".encode() if isinstance(value, int) else b""
    if field.kind in ("hex", "date", "time"):
        return f"{value:0{field.width}X}".encode() if isinstance(value, int) else b""
    raw = str(value).encode("gbk" if field.kind == "text" else "ascii", "replace")
    return raw.ljust(field.width)


def shortened(text: str, width: int) -> str:
    """The longest beginning of a text that fits ``width`` bytes of GBK, cut between characters."""
    while len(text.encode("gbk", "replace")) > width:
        text = text[:-1]
    return text
