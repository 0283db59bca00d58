"""Delimited text (CSV and its relatives), read by Arrow's parser and converted by a profile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from card_io.delivery.columns import Decoded, RowFaults, check_names
from card_io.delivery.errors import DeliveryFormatError, EmptyDeliveryError
from card_io.delivery.profile import Delimited, Profile
from card_io.delivery.text_columns import TextBlock, decode_texts
from card_io.records import UnreadableRow

_BLOCK_BYTES: Final = 4 << 20
"""Input bytes per block; keeps a block of even four-byte rows within the engine's largest block."""

_CODECS: Final = {"utf-8": "utf8", "utf-8-sig": "utf8", "gbk": "gbk"}
"""Arrow's names; its UTF-8 reader skips a byte order mark by itself."""


def read_delimited(
    path: Path, profile: Profile, layout: Delimited, *, block_bytes: int = _BLOCK_BYTES
) -> Iterator[Decoded]:
    """Decode a delimited file block by block.

    Args:
        path: the file.
        profile: how its texts become columns.
        layout: the profile's layout.
        block_bytes: input bytes per block; a row must be shorter.

    Yields:
        Blocks with 1-based data row numbers (the header and blank lines do not count). A row with another
        number of fields, or with bytes that are not text, is unreadable. At least one block, maybe empty.

    Raises:
        EmptyDeliveryError: the file has no bytes.
        DeliveryFormatError: a column is missing, unknown or twice there, or the encoding is another one.
    """
    if path.stat().st_size == 0:
        raise EmptyDeliveryError(path.name)
    numbering = _RowNumbers(header_lines=1 if layout.header is True else 0)
    with path.open("rb") as file:
        with _damage_reported(path.name, profile):
            reader = _open(file, profile, layout, numbering, block_bytes)
        check_names(reader.schema.names, profile.sources, "the file", path.name)
        batch = _next_batch(reader, path.name, profile)
        if batch is None:
            batch = pa.RecordBatch.from_pylist([], reader.schema)
        while batch is not None:
            following = _next_batch(reader, path.name, profile)
            numbers, malformed = numbering.take(batch.num_rows, everything=following is None)
            yield _decode(batch, numbers, malformed, profile)
            batch = following


def _open(
    file: BinaryIO, profile: Profile, layout: Delimited, numbering: _RowNumbers, block_bytes: int
) -> arrow_csv.CSVStreamingReader:
    named = layout.header is True
    return arrow_csv.open_csv(
        file,
        read_options=arrow_csv.ReadOptions(
            # One thread: with several, Arrow cannot number the malformed rows.
            use_threads=False,
            block_size=block_bytes,
            column_names=None if named else layout.header,
            encoding=_CODECS[profile.encoding],
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char=layout.quote if layout.quote is not None else False,
            newlines_in_values=layout.quote is not None,
            invalid_row_handler=numbering.skip,
        ),
        # Bytes: a value that is not UTF-8 then costs its row, not the file.
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(profile.sources, pa.binary())),
    )


@contextmanager
def _damage_reported(file: str, profile: Profile) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError) as error:
        raise DeliveryFormatError(
            file, f"not {profile.encoding} text in the layout of its profile ({error})", "send the file again"
        ) from error


def _next_batch(reader: arrow_csv.CSVStreamingReader, file: str, profile: Profile) -> pa.RecordBatch | None:
    with _damage_reported(file, profile):
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None


class _RowNumbers:
    """Data row numbers of the rows Arrow returns, around those it skips."""

    def __init__(self, header_lines: int) -> None:
        self._header_lines = header_lines
        self._next = 1
        self._skipped: list[UnreadableRow] = []

    def skip(self, row: arrow_csv.InvalidRow) -> str:
        """Arrow's handler of a row with a wrong number of fields; it may run ahead of the batches."""
        # The text is not repeated: it may contain a card number.
        self._skipped.append(
            UnreadableRow(
                row.number - self._header_lines,
                "the row",
                f"{row.actual_columns} fields",
                f"write {row.expected_columns} fields; quote a field that contains the delimiter",
            )
        )
        return "skip"

    def take(self, rows: int, *, everything: bool) -> tuple[npt.NDArray[np.int64], list[UnreadableRow]]:
        """The numbers of the next `rows` good rows, int64[rows], and the skipped rows before the last one.

        With `everything`, the skipped rows after it too.
        """
        numbers = np.arange(self._next, self._next + rows + len(self._skipped), dtype=np.int64)
        numbers = numbers[~np.isin(numbers, [row.source_row for row in self._skipped])][:rows]
        if rows:
            self._next = int(numbers[-1]) + 1
        due = [row for row in self._skipped if everything or row.source_row < self._next]
        self._skipped = self._skipped[len(due) :]
        return numbers, due


def _decode(
    batch: pa.RecordBatch, numbers: npt.NDArray[np.int64], malformed: list[UnreadableRow], profile: Profile
) -> Decoded:
    faults = RowFaults(batch.num_rows)
    texts = {source: _text(batch.column(source), source, faults) for source in profile.sources}
    block, unreadable = decode_texts(TextBlock(numbers, texts, faults), profile)
    return block, sorted([*unreadable, *malformed], key=lambda row: row.source_row)


def _text(raw: pa.Array, source: str, faults: RowFaults) -> pa.Array:
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        texts = [_decoded(value) for value in raw.to_pylist()]
    broken = np.array([text is None for text in texts])
    faults.add(broken, source, lambda row: f"{len(raw[row].as_py())} bytes", "write the file in one encoding")
    return pa.array(texts, pa.string())


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
