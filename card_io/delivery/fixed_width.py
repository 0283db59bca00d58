"""Fixed-width text in a JT/T 978.4 frame, read and written by a profile; a TLV part may end each line.

A line too short or too long, bytes that are no text, and a TLV part that is none cost their row, never the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from card_io.delivery.columns import MAX_BLOCK_ROWS, Decoded, RowFaults
from card_io.delivery.errors import DeliveryFormatError
from card_io.delivery.jtt978_frame import read_frame
from card_io.delivery.profile import FixedWidth, Profile
from card_io.delivery.text_columns import TextBlock, decode_texts

_SPACE: Final = ord(" ")
_VALUE_BYTES: Final = 8
"""Longest value of a TLV object: it becomes an integer column."""


def read_fixed_width(path: Path, profile: Profile, layout: FixedWidth) -> Iterator[Decoded]:
    """Decode a file block by block; data row n stands on line n + 2.

    Args:
        path: the file.
        profile: how its texts become columns.
        layout: the profile's layout.

    Yields:
        Blocks with 1-based data row numbers; at least one, maybe empty.

    Raises:
        EmptyDeliveryError: the file has no bytes.
        DeliveryFormatError: a head line is wrong, the count of records is, or the header's record length is not one
            that the layout allows.
    """
    frame = read_frame(path.read_bytes(), path.name)
    length = frame.header.record_length
    if length not in layout.record_lengths:
        allowed = " or ".join(str(each) for each in layout.record_lengths)
        raise DeliveryFormatError(
            path.name, f"line 2, record_length is {length}", f"records of this profile have {allowed} bytes"
        )
    for start in range(0, max(len(frame.records), 1), MAX_BLOCK_ROWS):
        yield _decode(frame.records[start : start + MAX_BLOCK_ROWS], start + 1, length, profile, layout)


def _decode(lines: list[bytes], first_row: int, length: int, profile: Profile, layout: FixedWidth) -> Decoded:
    rows = len(lines)
    faults = RowFaults(rows)
    tlv_most = 2 * layout.tlv_bytes_max
    sizes = np.fromiter((len(line) for line in lines), np.int64, rows)
    wrong = (sizes < length) | (sizes > length + tlv_most)
    wanted = f"write {length} bytes" + (f" and at most {tlv_most} of TLV data" if tlv_most else "")
    faults.add(wrong, "the line", lambda row: f"{sizes[row]} bytes", wanted)
    width = length + tlv_most
    matrix = np.array([line[:width].ljust(width) for line in lines] or [b""], f"S{max(width, 1)}")
    characters = matrix.view(np.uint8).reshape(len(matrix), -1)[:rows]
    texts = {}
    for name, start, end, chinese in layout.places(length):
        part = characters[:, start:end]
        texts[name] = _chinese(part, name, faults) if chinese else _plain(part, name, faults)
    if layout.tags:
        texts |= _tlv(characters[:, length:], np.clip(sizes - length, 0, tlv_most), layout, faults)
    source_row = np.arange(first_row, first_row + rows, dtype=np.int64)
    return decode_texts(TextBlock(source_row, texts, faults), profile)


def _plain(part: npt.NDArray[np.uint8], name: str, faults: RowFaults) -> pa.Array:
    """Printable ASCII without the spaces around it."""
    bad = np.asarray(((part < _SPACE) | (part > 0x7E)).any(axis=1), bool)
    faults.add(bad, name, lambda row: part[row].tobytes().hex(), "write printable ASCII")
    readable = np.where(bad[:, None], np.uint8(_SPACE), part) if bad.any() else part
    return pc.ascii_trim_whitespace(_strings(readable))


def _chinese(part: npt.NDArray[np.uint8], name: str, faults: RowFaults) -> pa.Array:
    """GBK text without the spaces behind it. Rows of plain ASCII, which most are, are not looked at one by one."""
    texts = part.copy()
    wide = np.flatnonzero((part > 0x7E).any(axis=1))
    decoded: dict[int, str | None] = {}
    for row in wide.tolist():
        texts[row] = _SPACE
        try:
            decoded[row] = part[row].tobytes().decode("gbk").rstrip(" ")
        except UnicodeDecodeError:
            decoded[row] = None
    bad = np.zeros(len(part), bool)
    bad[[row for row, text in decoded.items() if text is None]] = True
    # The bytes are not repeated: what stands in a text field may be a name.
    faults.add(bad, name, lambda row: f"{part.shape[1]} bytes", "write the text in GBK")
    plain = _plain(texts, name, faults)
    if not decoded:
        return plain
    return pa.array([decoded.get(row, text) for row, text in enumerate(plain.to_pylist())], pa.string())


def _strings(part: npt.NDArray[np.uint8]) -> pa.Array:
    data = np.ascontiguousarray(part)
    offsets = np.arange(0, data.size + 1, part.shape[1], dtype=np.int32)
    return pa.StringArray.from_buffers(len(part), pa.py_buffer(offsets), pa.py_buffer(data))


def _tlv(
    part: npt.NDArray[np.uint8], sizes: npt.NDArray[np.int64], layout: FixedWidth, faults: RowFaults
) -> dict[str, pa.Array]:
    """The TLV part of each line, all rows side by side: hex text per tag, null where a row has none."""
    nibble = _NIBBLES[part]
    used = np.arange(part.shape[1]) < sizes[:, None]
    no_hex = (used & (nibble == _NO_NIBBLE)).any(axis=1) | (sizes % 2 == 1)
    faults.add(no_hex, "TLV", lambda row: f"{sizes[row]} characters", "write pairs of hex digits")
    octets: npt.NDArray[Any] = (nibble[:, 0::2] << 4) | nibble[:, 1::2]
    ends = np.where(no_hex, 0, sizes // 2)
    rows = len(part)
    slots = {int(tag, 16): name for name, tag in layout.tags.items()}
    values = {name: np.zeros(rows, np.uint64) for name in layout.tags}
    there = {name: np.zeros(rows, bool) for name in layout.tags}
    position = np.zeros(rows, np.int64)
    octets = np.pad(octets, ((0, 0), (0, _VALUE_BYTES + 2)))
    while (active := np.flatnonzero(position < ends)).size:
        tag = octets[active, position[active]]
        size = octets[active, position[active] + 1].astype(np.int64)
        start = position[active] + 2
        known = np.isin(tag, list(slots))
        fits = (size >= 1) & (size <= _VALUE_BYTES) & (start + size <= ends[active])
        again = np.zeros(active.size, bool)
        for code, name in slots.items():
            here = active[tag == code]
            again[tag == code] = there[name][here]
            there[name][here] = True
            values[name][here] = _integers(octets, start[tag == code], size[tag == code], here)
        broken = ~known | ~fits | again
        _blame(faults, rows, active[broken], tag[broken], size[broken])
        position[active] = np.where(broken, ends[active], start + size)
    return {name: _hex_texts(values[name], there[name]) for name in layout.tags}


def _blame(
    faults: RowFaults,
    rows: int,
    at: npt.NDArray[np.int64],
    tag: npt.NDArray[Any],
    size: npt.NDArray[np.int64],
) -> None:
    if not at.size:
        return
    shown = {int(row): f"tag {int(t):02X}, {int(n)} bytes" for row, t, n in zip(at, tag, size, strict=True)}
    mask = np.zeros(rows, bool)
    mask[at] = True
    faults.add(
        mask, "TLV", lambda row: shown[row], "write each tag of the profile once, with 1 to 8 bytes that are there"
    )


def _integers(
    octets: npt.NDArray[Any],
    start: npt.NDArray[np.int64],
    size: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint64]:
    """Big-endian values of 1 to 8 bytes at one place per row."""
    value = np.zeros(len(row), np.uint64)
    for place in range(_VALUE_BYTES):
        inside = place < size
        at = np.minimum(start + place, octets.shape[1] - 1)
        value = np.where(inside, (value << np.uint64(8)) | octets[row, at], value)
    return value


def _hex_texts(values: npt.NDArray[np.uint64], there: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array(
        [f"{value:X}" if here else None for value, here in zip(values.tolist(), there, strict=True)], pa.string()
    )


_NO_NIBBLE: Final = 0xFF
_NIBBLES: Final = np.full(256, _NO_NIBBLE, np.uint8)
for _digit in "0123456789abcdefABCDEF":
    _NIBBLES[ord(_digit)] = int(_digit, 16)
