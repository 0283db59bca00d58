"""A layout is declared once, as a class of fields; decoding, encoding, columns and documentation follow from it.

    class LogRecord(Layout, name="log_record", zh="交易明细", source="…"):
        counter: int = uint(2, "offline counter of a debit")
        …

Fields lie one behind the other in order of declaration. Every kind keeps all information, so ``encode`` undoes
``decode`` byte for byte also for the odd contents of real cards: dates and times are the big-endian integers of their
raw BCD bytes (as in `card_io.records`), filler and unknown bytes are kept.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, Self, dataclass_transform

import numpy as np
import numpy.typing as npt

from card_io.layouts.errors import ContentError, LengthError


class Kind(StrEnum):
    """How the bytes of a field are read."""

    UINT = "uint"
    UINT_LE = "uint_le"
    BITS = "bits"
    DATE = "date"
    TIME = "time"
    MOMENT = "moment"
    HEX = "hex"
    TEXT = "text"


KIND_MEANING: Final = {
    Kind.UINT: "unsigned integer, big endian",
    Kind.UINT_LE: "unsigned integer, little endian",
    Kind.BITS: "unsigned integer of some bits",
    Kind.DATE: "BCD YYYYMMDD, kept as the big-endian integer of its bytes",
    Kind.TIME: "BCD hhmmss, kept as the big-endian integer of its bytes",
    Kind.MOMENT: "BCD YYYYMMDDhhmmss, kept as the big-endian integer of its bytes",
    Kind.HEX: "bytes, as upper-case hexadecimal text (BCD numbers and identifiers read as they stand)",
    Kind.TEXT: "GB 18030 text, filled up with 00",
}
_INTEGERS: Final = (Kind.UINT, Kind.UINT_LE, Kind.BITS, Kind.DATE, Kind.TIME, Kind.MOMENT)
_SPEC: Final = "card_io.layouts"


@dataclasses.dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: its place in bits, its kind, and what it means.

    Attributes:
        offset, width: bits from the start of the record; of a little-endian layout from the start of its last byte.
        personal: the value is personal data and appears in no message.
    """

    name: str
    offset: int
    width: int
    kind: Kind
    meaning: str
    personal: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Vector:
    """A published or real example: bytes and what they contain."""

    hex: str
    values: dict[str, int | str]
    source: str


def uint(width: int, meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """An unsigned big-endian integer of ``width`` bytes."""
    return _field(8 * width, Kind.UINT, meaning, default)


def uint_le(width: int, meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """An unsigned little-endian integer of ``width`` bytes."""
    return _field(8 * width, Kind.UINT_LE, meaning, default)


def bits(width: int, meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """An unsigned integer of ``width`` bits."""
    return _field(width, Kind.BITS, meaning, default)


def date4(meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Four BCD bytes YYYYMMDD as the integer 0xYYYYMMDD."""
    return _field(32, Kind.DATE, meaning, default)


def time3(meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Three BCD bytes hhmmss as the integer 0xhhmmss."""
    return _field(24, Kind.TIME, meaning, default)


def moment7(meaning: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Seven BCD bytes YYYYMMDDhhmmss as one integer."""
    return _field(56, Kind.MOMENT, meaning, default)


def hexa(width: int, meaning: str, *, personal: bool = False, default: Any = dataclasses.MISSING) -> Any:
    """``width`` bytes as upper-case hexadecimal text."""
    return _field(8 * width, Kind.HEX, meaning, default, personal)


def text(width: int, meaning: str, *, personal: bool = False, default: Any = dataclasses.MISSING) -> Any:
    """GB 18030 text in ``width`` bytes, filled up with 00; bytes that are no text survive as surrogates."""
    return _field(8 * width, Kind.TEXT, meaning, default, personal)


def _field(width: int, kind: Kind, meaning: str, default: Any, personal: bool = False) -> Any:
    spec = FieldSpec("", 0, width, kind, meaning, personal)
    return dataclasses.field(default=default, metadata={_SPEC: spec})


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(uint, uint_le, bits, date4, time3, moment7, hexa, text),
)
class Layout:
    """Base of every layout; a subclass is a frozen dataclass with keyword arguments.

    Class attributes:
        NAME, ZH, EN: identifier and titles.  SOURCE: where the layout comes from.
        LENGTH: bytes of a record.  FIELDS: places and kinds.  VECTORS: examples with their contents.
        BYTE_ORDER: "little" when the record is one little-endian number whose high bits come first.
    """

    NAME: ClassVar[str]
    ZH: ClassVar[str]
    EN: ClassVar[str]
    SOURCE: ClassVar[str]
    LENGTH: ClassVar[int]
    FIELDS: ClassVar[tuple[FieldSpec, ...]]
    VECTORS: ClassVar[tuple[Vector, ...]] = ()
    BYTE_ORDER: ClassVar[Literal["big", "little"]] = "big"

    def __init_subclass__(cls, *, name: str, zh: str, en: str, source: str) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)
        cls.NAME, cls.ZH, cls.EN, cls.SOURCE = name, zh, en, source
        placed, offset = [], 0
        for each in dataclasses.fields(cls):  # type: ignore[arg-type]
            spec = dataclasses.replace(each.metadata[_SPEC], name=each.name, offset=offset)
            placed.append(spec)
            offset += spec.width
        assert offset % 8 == 0, name
        cls.FIELDS, cls.LENGTH = tuple(placed), offset // 8

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read one record of exactly :attr:`LENGTH` bytes.

        Raises:
            LengthError: for any other length.
            ContentError: for text that GB 18030 would not write back as it stood.
        """
        if len(raw) != cls.LENGTH:
            raise LengthError(cls.NAME, f"{len(raw)} bytes", f"this record has {cls.LENGTH}; read the file again")
        whole = int.from_bytes(raw, cls.BYTE_ORDER)
        size = 8 * cls.LENGTH
        values = {}
        for spec in cls.FIELDS:
            shifted = whole >> (size - spec.offset - spec.width)
            values[spec.name] = _read(cls.NAME, spec, shifted & ((1 << spec.width) - 1))
        return cls(**values)

    def encode(self) -> bytes:
        """Write the record: :attr:`LENGTH` bytes.

        Raises:
            ContentError: for a value that does not fit its field.
        """
        size, whole = 8 * self.LENGTH, 0
        for spec in self.FIELDS:
            whole |= _write(self.NAME, spec, getattr(self, spec.name)) << (size - spec.offset - spec.width)
        return whole.to_bytes(self.LENGTH, self.BYTE_ORDER)

    @classmethod
    def dtype(cls) -> np.dtype[Any]:
        """Structured dtype over raw records: big-endian integers where numpy has the width, else plain bytes.

        Raises:
            TypeError: for a layout with fields that are no whole bytes.
        """
        if any(spec.width % 8 or spec.offset % 8 for spec in cls.FIELDS) or cls.BYTE_ORDER != "big":
            raise TypeError(f"{cls.NAME} has fields of bits: it has no numpy dtype")
        return np.dtype([(spec.name, *_numpy(spec)) for spec in cls.FIELDS])

    @classmethod
    def columns(cls, raw: bytes | npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        """Read n records that lie one behind the other, column-wise.

        Args:
            raw: n · LENGTH bytes.

        Returns:
            per field uint64[n] for integers, else ``V`` bytes [n] as they stand.

        Raises:
            LengthError: when the bytes are no whole number of records.
        """
        flat = np.frombuffer(raw, np.uint8) if isinstance(raw, bytes) else raw.reshape(-1)
        if flat.size % cls.LENGTH:
            raise LengthError(cls.NAME, f"{flat.size} bytes", f"whole records have {cls.LENGTH} bytes each")
        rows = flat.reshape(-1, cls.LENGTH)
        columns: dict[str, npt.NDArray[Any]] = {}
        for spec in cls.FIELDS:
            part = np.ascontiguousarray(rows[:, spec.offset // 8 : (spec.offset + spec.width) // 8])
            columns[spec.name] = _column(spec, part)
        return columns


def _read(layout: str, spec: FieldSpec, value: int) -> int | str:
    if spec.kind is Kind.UINT_LE:
        return int.from_bytes(value.to_bytes(spec.width // 8, "big"), "little")
    if spec.kind in _INTEGERS:
        return value
    raw = value.to_bytes(spec.width // 8, "big")
    if spec.kind is Kind.HEX:
        return raw.hex().upper()
    words = raw.rstrip(b"\x00").decode("gb18030", "surrogateescape")
    if _text_bytes(words).ljust(len(raw), b"\x00") != raw:
        raise ContentError(f"{layout}.{spec.name}", "bytes that are no GB 18030 text", "read the file again")
    return words


def _write(layout: str, spec: FieldSpec, value: object) -> int:
    where, width = f"{layout}.{spec.name}", spec.width // 8
    shown = "the value" if spec.personal else repr(value)[:40]
    if spec.kind in _INTEGERS:
        if not isinstance(value, int) or not 0 <= value < 1 << spec.width:
            raise ContentError(where, f"{shown} does not fit", f"give an integer of {spec.width} bits")
        return int.from_bytes(value.to_bytes(width, "little"), "big") if spec.kind is Kind.UINT_LE else value
    if not isinstance(value, str):
        raise ContentError(where, f"{shown} is no text", "give text")
    if spec.kind is Kind.HEX:
        if len(value) != 2 * width or not _hexadecimal(value):
            raise ContentError(where, f"{shown} does not fit", f"give {2 * width} upper-case hexadecimal digits")
        return int(value, 16) if value else 0
    try:
        raw = _text_bytes(value)
    except UnicodeEncodeError:
        raise ContentError(where, f"{shown} is no GB 18030 text", "leave out its unpaired surrogates") from None
    if len(raw) > width or raw.endswith(b"\x00"):
        raise ContentError(where, f"{shown} does not fit", f"give at most {width} bytes of GB 18030 text")
    return int.from_bytes(raw.ljust(width, b"\x00"), "big")


def _text_bytes(words: str) -> bytes:
    return words.encode("gb18030", "surrogateescape")


def _hexadecimal(value: str) -> bool:
    return all(letter in "0123456789ABCDEF" for letter in value)


def _numpy(spec: FieldSpec) -> tuple[Any, ...]:
    width = spec.width // 8
    if spec.kind in _INTEGERS and width in (1, 2, 4, 8):
        order = "<" if spec.kind is Kind.UINT_LE else ">"
        return (f"{order}u{width}",)
    return (f"V{width}",)


def _column(spec: FieldSpec, part: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    width = part.shape[1]
    if spec.kind not in _INTEGERS:
        return part.view(f"V{width}").reshape(-1)
    assert width <= 8, f"{spec.name}: {width} bytes do not fit uint64"
    padded = np.zeros((len(part), 8), np.uint8)
    padded[:, 8 - width :] = part[:, ::-1] if spec.kind is Kind.UINT_LE else part
    return padded.view(">u8").reshape(-1).astype(np.uint64)
