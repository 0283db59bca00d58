"""Deliveries: file outcomes (rules §10) and the rows of the received files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.centre import Centre
from auditor.columns import BILL, NULLABLE, OF_SERVICE, OPTIONAL, Range
from auditor.manifests import CLASSES_SUFFIX, SUFFIX, Manifest, read_manifest
from auditor.model import Row
from auditor.times import DAY_SECONDS

FORMATS = ("parquet",)
"""The auditor reads no profiles: it is for simulated centres, whose senders deliver Parquet."""


@dataclass
class Deliveries:
    """Outcome of every delivery by data file name, and the rows of the received ones in arrival order."""

    outcomes: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Accepted:
    """What later files are compared with."""

    identity: tuple[int, str, int]
    content: str


class WrongColumnsError(Exception):
    """The data file does not have the columns of its service."""


def read_deliveries(folder: Path, centre: Centre) -> Deliveries:
    """Take the deliveries of a folder in the order of (sent_at, file name)."""
    deliveries, readable = Deliveries(), []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        data = path.with_name(path.name.removesuffix(SUFFIX))
        if not data.exists():
            continue
        manifest = read_manifest(path)
        if manifest is None:
            deliveries.outcomes[data.name] = "bad_manifest"
        else:
            readable.append((manifest.sent_at, data.name, manifest, data))
    known: list[Accepted] = []
    for _, name, manifest, data in sorted(readable, key=lambda one: one[:2]):
        outcome, rows, accepted = _take(manifest, data, centre, known)
        deliveries.outcomes[name] = outcome
        if accepted is not None:
            known.append(accepted)
            deliveries.rows += rows
    return deliveries


def _take(
    manifest: Manifest, data: Path, centre: Centre, known: list[Accepted]
) -> tuple[str, list[Row], Accepted | None]:
    """The outcome of one delivery; rows and a new entry for ``known`` when it is received."""
    refusal = _refused_unread(manifest, data, centre)
    if refusal:
        return refusal, [], None
    try:
        rows = _read_parquet(manifest, data)
    except WrongColumnsError:
        return "wrong_columns", [], None
    if len(rows) != manifest.content["rows"]:
        return "count_mismatch", [], None
    total, readable = manifest.content["amount_fen"], [row for row in rows if not row.unreadable]
    if total is not None and len(readable) == len(rows) and total != sum(_counted(row) for row in readable):
        return "total_mismatch", [], None
    accepted = Accepted(manifest.identity, _content(manifest.service, readable))
    same_identity = next((one for one in known if one.identity == accepted.identity), None)
    if same_identity is not None:
        outcome = "repeated" if same_identity.content == accepted.content else "identity_clash"
        return outcome, [], None
    if accepted.content and any(one.content == accepted.content for one in known):
        return "content_clash", [], None
    return "received", rows, accepted


def _counted(row: Row) -> int:
    """Fen of the row in its file's control total: what a grant gives, else what the purse moved."""
    return int(row.value["granted"] if row.service == "benefit" else row.value["amount"])


def _refused_unread(manifest: Manifest, data: Path, centre: Centre) -> str:
    """The outcomes that need no look into the data."""
    sender = centre.participants.get(manifest.sender)
    day = manifest.sent_at // DAY_SECONDS
    keys = [key for key, first, last in centre.senders.get(manifest.sender, ()) if first <= day <= last]
    if sender is None or not sender.services or not sender.valid_on(day) or not keys:
        return "unknown_sender"
    if not any(manifest.signed_by(key) for key in keys):
        return "bad_signature"
    if manifest.service not in sender.services:
        return "service_not_agreed"
    if manifest.content["format"] not in FORMATS:
        return "unknown_profile"
    sidecar, wanted = data.with_name(data.name + CLASSES_SUFFIX), manifest.content.get("classes_sha256")
    if _sha256(data) != manifest.content["sha256"] or (wanted is not None and _sha256(sidecar) != wanted):
        return "hash_mismatch"
    return "empty_file" if data.stat().st_size == 0 else ""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _content(service: str, rows: list[Row]) -> str:
    """A digest of the decoded rows of a file as a multiset: their order says nothing. Empty without rows."""
    lines = sorted(
        repr((row.card_no, tuple(row.value.values()), [tuple(bill.values()) for bill in row.bills])) for row in rows
    )
    return hashlib.sha256("\n".join([service, *lines]).encode()).hexdigest() if lines else ""


def _read_parquet(manifest: Manifest, data: Path) -> list[Row]:
    try:
        table = pq.ParquetFile(data).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise WrongColumnsError from error
    columns = OF_SERVICE[manifest.service]
    wanted = {"card_no", *columns} | ({"bills"} if manifest.service == "utility" else set())
    names = table.column_names
    # A column that may be left out is missing in every row then.
    absent = wanted - set(names)
    if len(names) != len(set(names)) or set(names) - wanted or absent - OPTIONAL:
        raise WrongColumnsError
    if not _right_types(table.schema, [name for name in columns if name not in absent]):
        raise WrongColumnsError
    for name in absent:
        table = table.append_column(name, pa.nulls(len(table), pa.int64()))
    cards = table.column("card_no").to_pylist()
    lists = table.column("bills").to_pylist() if manifest.service == "utility" else [[]] * len(cards)
    values = {name: _integers(table.column(name)) for name in columns}
    misfits = {place for name, column in values.items() for place in _misfits(name, column, columns[name])}
    rows = []
    for place, (card, bills, line) in enumerate(zip(cards, lists, zip(*values.values(), strict=True), strict=True)):
        value = dict(zip(columns, line, strict=True))
        row = Row(manifest.file, place + 1, manifest.sender, manifest.service, manifest.sent_at, value, card)
        row.bills = [dict.fromkeys(BILL) | bill for bill in bills or ()]
        well_named = bool(card) and card.isprintable()
        row.unreadable = not well_named or bills is None or place in misfits or not all(map(_fits, row.bills))
        rows.append(row)
    return rows


def _integers(column: pa.ChunkedArray) -> list[int | None]:
    """The numbers of a column; pyarrow's own list, which knows missing values, takes several times as long."""
    return column.to_pylist() if column.null_count else column.to_numpy().tolist()  # type: ignore[no-any-return]


def _right_types(schema: pa.Schema, integer_columns: list[str]) -> bool:
    return schema.field("card_no").type in (pa.string(), pa.large_string()) and all(
        pa.types.is_integer(schema.field(name).type) for name in integer_columns
    )


def _misfits(name: str, values: list[int | None], bounds: Range) -> list[int]:
    """The places of a column that lack a value they need, or hold one that does not fit. Most columns have none."""
    present = [value for value in values if value is not None]
    in_bounds = not present or (bounds[0] <= min(present) and max(present) <= bounds[1])
    if in_bounds and (name in NULLABLE or len(present) == len(values)):
        return []
    return [place for place, value in enumerate(values) if _misfit(name, value, bounds)]


def _misfit(name: str, value: int | None, bounds: Range) -> bool:
    return name not in NULLABLE if value is None else not bounds[0] <= value <= bounds[1]


def _fits(bill: dict[str, int | None]) -> bool:
    return not any(_misfit(name, bill[name], bounds) for name, bounds in BILL.items())
