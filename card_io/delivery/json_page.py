"""JSON pages of an open-data interface: a list of flat objects somewhere in one document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from card_io.delivery.columns import MAX_BLOCK_ROWS, Decoded, RowFaults
from card_io.delivery.errors import DeliveryFormatError, EmptyDeliveryError
from card_io.delivery.profile import JsonPage, Profile
from card_io.delivery.text_columns import TextBlock, decode_texts


def read_json_page(path: Path, profile: Profile, layout: JsonPage) -> Iterator[Decoded]:
    """Decode a JSON page; an absent key and null are missing values, numbers count as their digits.

    Args:
        path: the file.
        profile: how its texts become columns.
        layout: the profile's layout.

    Yields:
        Blocks with 1-based record numbers; at least one, maybe empty. A record that is not an object, or
        has a value that is neither text nor number, is unreadable.

    Raises:
        EmptyDeliveryError: the file has no bytes.
        DeliveryFormatError: not JSON, no list of records where the profile says, an unknown or double key.
    """
    records = _records(path, profile, layout)
    for start in range(0, max(len(records), 1), MAX_BLOCK_ROWS):
        yield _decode(records[start : start + MAX_BLOCK_ROWS], start + 1, profile, path.name)


def _records(path: Path, profile: Profile, layout: JsonPage) -> list[object]:
    raw = path.read_bytes()
    if not raw:
        raise EmptyDeliveryError(path.name)
    try:
        # Numbers stay text, so that no amount ever passes through a float.
        found: object = json.loads(
            raw.decode(profile.encoding),
            parse_int=str,
            parse_float=str,
            parse_constant=str,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, RecursionError) as error:
        raise DeliveryFormatError(
            path.name, f"not a JSON document in {profile.encoding} ({error})", "send the file again"
        ) from error
    for key in layout.records:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise DeliveryFormatError(
            path.name, f"no list of records at {'.'.join(layout.records)}", "send the page as the profile says"
        )
    return found


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return content


def _decode(records: list[object], first_row: int, profile: Profile, file: str) -> Decoded:
    faults = RowFaults(len(records))
    objects = [record if isinstance(record, dict) else {} for record in records]
    _check_keys(objects, profile, file)
    no_object = np.array([not isinstance(record, dict) for record in records], bool)
    faults.add(no_object, "the record", lambda row: type(records[row]).__name__, "write each record as an object")
    texts = {source: _text([record.get(source) for record in objects], source, faults) for source in profile.sources}
    source_row = np.arange(first_row, first_row + len(records), dtype=np.int64)
    return decode_texts(TextBlock(source_row, texts, faults), profile)


def _check_keys(objects: list[dict[str, object]], profile: Profile, file: str) -> None:
    unknown = set().union(*objects) - set(profile.sources)
    if unknown:
        raise DeliveryFormatError(
            file, f"a record has key {', '.join(sorted(unknown))}", "leave it out, or name another profile"
        )


def _text(values: list[object], source: str, faults: RowFaults) -> pa.Array:
    flawed = np.array([not (value is None or _is_text(value)) for value in values], bool)
    faults.add(flawed, source, lambda row: type(values[row]).__name__, "write a text or a number")
    return pa.array([value if _is_text(value) else None for value in values], pa.string())


def _is_text(value: object) -> bool:
    # JSON can escape half of a surrogate pair, which is no character.
    return isinstance(value, str) and (value.isascii() or not any("\ud800" <= mark <= "\udfff" for mark in value))
