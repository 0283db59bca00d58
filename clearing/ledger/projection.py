"""``ledger.duckdb``: the projection of the journal that people query (DESIGN §8, docs/ledger.md).

Small tables from journal entries plus views over the segments. The writer's database is ``work/ledger.duckdb``; after
each commit a copy is published by rename, so that readers never block a run. No decision is made here.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Final

from card_io.records import BILL_FIELDS, Service
from clearing.accounts import ACCOUNT_KINDS
from clearing.calendar import date_of, received_window
from clearing.config import Settings
from clearing.corrections.proposals import CORRECTION_KINDS
from clearing.durable import fsync_folder, write_durably
from clearing.ledger.corrected import correction_rows
from clearing.ledger.journal import Entry, Journal
from clearing.ledger.payments import payment_rows
from clearing.ledger.segments import BILL_EXTRA, DAY_COLUMNS, TIME_COLUMNS, segment_fields
from clearing.posting import LEGS, Chart
from clearing.regions import load_regions
from clearing.registers import terminal_regions
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition
from clearing.store import Store, sql_text, timestamp

PRIVATE_NAME: Final = "ledger.duckdb"

Row = dict[str, Any]
Rows = list[Row]

Told = tuple[Entry, list[tuple[str, Rows]]]
"""An entry with its rows by table; those of one table have the same columns."""

_TOGETHER: Final = 10_000
"""Rows from which on a database transaction takes no further entry."""


class Projection:
    """The writer's database of one centre."""

    _blank: ClassVar[bytes] = b""
    """The first database this process made, before an entry came in: the next ones begin as copies of it."""

    def __init__(self, directory: Path, settings: Settings, *, path: Path | None = None) -> None:
        """The one in ``work/`` (at ``path`` for an audit); it is opened when somebody asks it."""
        self.directory, self.settings = directory, settings
        self.path = path or directory / "work" / PRIVATE_NAME
        self._viewed = self._published = self._projected = -1

    @functools.cached_property
    def store(self) -> Store:
        """The open database; an empty one is created when it is not there."""
        if Projection._blank and not self.path.exists():
            # As DuckDB does where it makes the file: the log of a database that is gone is not this one's.
            self.path.with_name(f"{self.path.name}.wal").unlink(missing_ok=True)
            write_durably(self.path, Projection._blank)
        store = Store(self.path, self.directory, threads=self.settings.centre.threads)
        # A run that died while making the database leaves an empty one behind.
        if not store.holds("journal"):
            with store.db_transaction():
                store.script("schema")
                self._make(store, [])
            store.run("CHECKPOINT")
            Projection._blank = self.path.read_bytes()
        return store

    def close(self) -> None:
        """Close the database if it was opened."""
        if "store" in self.__dict__:
            self.store.close()

    def last_sequence(self) -> int:
        """Sequence of the newest projected entry, 0 = none."""
        if self._projected < 0:
            self._projected = int(self.store.run("SELECT COALESCE(MAX(sequence), 0) FROM journal")[0][0])
        return self._projected

    def trust(self, journal: Journal) -> None:
        """Both copies are known to say what the journal says (:mod:`clearing.completed`)."""
        self._projected = self._published = len(journal.entries)

    def complete(self, journal: Journal) -> bool:
        """Whether this command has left both copies saying what the journal says."""
        return self._projected == self._published == len(journal.entries)

    def catch_up(self, journal: Journal) -> list[Entry]:
        """Project every entry above the last one, some of them in one database transaction."""
        last = self.last_sequence()
        fresh = [entry for entry in journal if entry.sequence > last]
        for part in _together((entry, list(self._rows(entry))) for entry in fresh):
            with self.store.db_transaction():
                self._project(part)
            self._projected = part[-1][0].sequence
        return fresh

    def _project(self, part: list[Told]) -> None:
        """Append what the entries say, by table: rows that tell the same columns at once, in the entries' order."""
        alike: dict[tuple[str, tuple[str, ...]], Rows] = {}
        for _, tables in part:
            for table, rows in tables:
                if rows:
                    alike.setdefault((table, tuple(rows[0])), []).extend(rows)
        for (table, _), rows in alike.items():
            self.store.insert(table, rows)
        for entry, _ in part:
            if entry.kind == "batch":
                self.store.run(
                    "UPDATE files SET batch = $batch WHERE list_contains($files, file_no)",
                    {"batch": entry.sequence, "files": [result["file_no"] for result in entry.body["files"]]},
                )

    def _rows(self, entry: Entry) -> Iterator[tuple[str, Rows]]:
        names = ("sequence", "kind", "engine", "previous", "digest")
        yield "journal", [{**{name: getattr(entry, name) for name in names}, "at": timestamp(entry.at)}]
        if entry.kind == "intake":
            yield "files", [self._file(entry)]
            yield from _registers(entry)
        elif entry.kind == "batch":
            yield from _batch(entry)
        elif entry.kind == "close":
            yield from _close(entry)
        elif entry.kind == "override":
            yield "overrides", _overridden(entry)
        yield "postings", _postings(entry)
        yield from (correction_rows(entry) if entry.kind in CORRECTION_KINDS else payment_rows(entry)).items()

    def _file(self, entry: Entry) -> Row:
        body = entry.body
        row = {name: body.get(name) for name in ("file_no", "file", "outcome", "reason", "sender", "service")}
        row |= {name: body.get(name) for name in ("sequence", "rows", "amount_fen", "content_root")}
        return row | {
            "entry": entry.sequence,
            "file_date": body.get("file_date"),
            "received_at": timestamp(entry.at),
            "received_window": date_of(int(received_window(entry.at, self.settings.calendar))),
        }

    def refresh(self, journal: Journal) -> None:
        """Reference tables and views as settings and journal give them now; made again only when these changed."""
        batches = sum(1 for _ in journal.of_kind("batch"))
        if batches == self._viewed:
            return
        listed = [segment["name"] for entry in journal.of_kind("batch") for segment in entry.body["segments"]]
        with self.store.db_transaction():
            self._make(self.store, listed, self._reference_rows() if self._viewed < 0 else None)
        self._viewed = batches

    @staticmethod
    def _make(store: Store, listed: Iterable[str], references: dict[str, Rows] | None = None) -> None:
        """Views over exactly these segments, and reference tables; what was made by the same definition stays."""
        named = segments_by_service(listed)
        # They look through the views over segments: what these list does not change them, nor that they list nothing.
        definitions: dict[str, object] = {**named, "views": sql_text("views")}
        if references is not None:
            definitions["references"] = references
        renewed = _renewed(store, definitions)
        if references is not None and "references" in renewed:
            for table, rows in references.items():
                store.run(f"DELETE FROM {table}")
                store.insert(table, rows)
        for view in named:
            if view in renewed:
                store.run(f"CREATE OR REPLACE VIEW {view} AS {segment_view(view, named[view])}")
        if "views" in renewed:
            store.script("views")

    def refresh_if_stale(self, journal: Journal) -> None:
        """Refresh where participants changed, or the views are another engine's, since the last :meth:`publish`."""
        known = set(self.store.run("SELECT participant, kind FROM participants"))
        views = {name for (name,) in self.store.run("SELECT view_name FROM duckdb_views() WHERE NOT internal")}
        if known != {(p.id, p.kind) for p in self.settings.participants} or "legs" not in views:
            self.refresh(journal)

    def publish(self, journal: Journal) -> None:
        """Refresh, and put a copy in the centre's folder by rename; nothing when that is what lies there."""
        last = self.last_sequence()
        if last == self._published:
            return
        self.refresh(journal)
        self.store.run("CHECKPOINT")
        beside = self.directory / "work" / "publish.duckdb"
        shutil.copyfile(self.path, beside)
        beside.replace(self.directory / PRIVATE_NAME)
        fsync_folder(self.directory)
        self._published = last

    def _reference_rows(self) -> dict[str, Rows]:
        """The rows of every reference table: they depend on settings and program only."""
        chart = Chart.of(self.settings)
        region_of = {insurer: region for region, insurer in chart.insurer_by_region.items()}
        return {
            "participants": [
                {
                    "participant": p.id,
                    "kind": p.kind,
                    "name_zh": p.name.zh,
                    "name_en": p.name.en,
                    "price_tolerance": p.price_tolerance,
                    "region": p.region,
                }
                for p in self.settings.participants
            ],
            "regions": [asdict(each) for each in load_regions(self.directory, self.settings)],
            "terminal_regions": terminal_regions(self.directory),
            "statuses": [
                {"status": int(s), "name": s.name, "zh": STATUS_TEXT[s].zh, "en": STATUS_TEXT[s].en}
                for s in ClearingStatus
            ],
            "dispositions": [{"disposition": int(d), "name": d.name} for d in Disposition],
            "posting_templates": [
                {
                    "template": int(leg.template),
                    "leg": number,
                    "kind": leg.kind,
                    "party": leg.party,
                    "source": leg.source,
                    "amount": leg.amount,
                    "side": "credit" if leg.credit else "debit",
                }
                for number, leg in enumerate(LEGS)
            ],
            "account_kinds": [
                {"kind": a.kind, "class": a.account_class, "settled": a.settled, "zh": a.zh, "en": a.en}
                for a in ACCOUNT_KINDS.values()
            ],
            "medical_funds": [
                {"insurer": insurer, "region": region_of[insurer], "fund_column": name, "fund": fund}
                for (insurer, name), fund in chart.medical_fund.items()
            ],
        }


def _together(told: Iterable[Told]) -> Iterator[list[Told]]:
    """As many entries at a time as one database transaction takes."""
    part: list[Told] = []
    rows = 0
    for each in told:
        part.append(each)
        rows += sum(len(listed) for _, listed in each[1])
        if rows >= _TOGETHER:
            yield part
            part, rows = [], 0
    if part:
        yield part


def _registers(entry: Entry) -> Iterator[tuple[str, Rows]]:
    """Register totals of the terminals whose file was received."""
    file_no = entry.body["file_no"]
    told = (entry.body.get("registers") or ()) if entry.body["outcome"] == "received" else ()
    named = ("counter_start", "counter_end", "drawn", "refused", "grey_rows", "grey_fen")
    yield (
        "terminal_registers",
        [
            {
                "file_no": file_no,
                "terminal_id": int(register["terminal_id"], 16),
                "rows": sum(kind["rows"] for kind in register["kinds"]),
                **{name: register[name] for name in (*named, "journal_sequence", "journal_digest")},
            }
            for register in told
        ],
    )
    yield (
        "register_kinds",
        [
            {"file_no": file_no, "terminal_id": int(register["terminal_id"], 16), **kind}
            for register in told
            for kind in register["kinds"]
        ],
    )


def _batch(entry: Entry) -> Iterator[tuple[str, Rows]]:
    body = entry.body
    yield (
        "file_results",
        [
            {"file_no": f["file_no"], "status": status, "disposition": disposition, "rows": rows, "fen": fen}
            for f in body["files"]
            for status, disposition, rows, fen in f["results"]
        ],
    )
    yield "segments", [{"entry": entry.sequence, **segment} for segment in body["segments"]]
    yield (
        "content_roots",
        [
            {"entry": entry.sequence, "window": date_of(int(window)), "root": root}
            for window, root in body["content_roots"].items()
        ],
    )


def _postings(entry: Entry) -> Rows:
    return [
        {
            "entry": entry.sequence,
            "window": date_of(window),
            "kind": kind,
            "participant": participant,
            "source": source,
            "fen": fen,
        }
        for window, kind, participant, source, fen in entry.body.get("postings", ())
    ]


def _close(entry: Entry) -> Iterator[tuple[str, Rows]]:
    body = entry.body
    common = {"entry": entry.sequence, "window": date_of(body["window"])}
    yield "windows", [{**common, "closed_at": timestamp(entry.at)}]
    for table in ("positions", "claims", "recomputed", "uncovered", "finding_totals", "findings"):
        yield table, [{**common, **row} for row in body[table]]
    yield from _fees(body, common)


def _fees(body: Row, common: Row) -> Iterator[tuple[str, Rows]]:
    """What is charged; by the month what each close notes, and what the one that ends the month charges."""
    named: Row = {"schedule": None, "level": None, "month": None}
    rows = [{**common, **named, **row} for row in body["fees"]]
    yield "fees", [{**row, "month": _date(row["month"])} for row in rows]
    months = [{**row, "month": _date(row["month"])} for row in body.get("months", ())]
    yield "month_fees", [{**common, **row} for row in months]
    yield "accrued_fees", [{**row, **common} for row in body.get("accrued", ())]


def _overridden(entry: Entry) -> Rows:
    body = entry.body
    common = {"entry": entry.sequence, "window": date_of(body["window"]), "reason": body["reason"]}
    return [
        {**common, "check": name, "rows": rows, "person": body["signature"]["person"]}
        for name, rows in body["checks"].items()
    ]


def _renewed(store: Store, definitions: dict[str, object]) -> set[str]:
    """Those definitions that differ from what the database was made by; noted as the new ones."""
    digests = {name: hashlib.sha256(repr(each).encode()).hexdigest() for name, each in definitions.items()}
    known = store.run("SELECT name, sha256 FROM definitions")
    renewed = dict(sorted(digests.items() - set(known)))
    if renewed:
        store.run("DELETE FROM definitions WHERE list_contains($names, name)", {"names": list(renewed)})
        store.insert("definitions", [{"name": name, "sha256": sha256} for name, sha256 in renewed.items()])
    return set(renewed)


def _date(day: int | None) -> datetime.date | None:
    return None if day is None else date_of(day)


def segments_by_service(listed: Iterable[str]) -> dict[str, list[str]]:
    """Names of segments by the view that reads them; every view is there, with nothing to read as well."""
    named: dict[str, list[str]] = {view: [] for view in _EMPTY_VIEWS}
    for name in listed:
        service = name.split("/")[0]
        named["bills" if service == "bill" else service].append(name)
    return named


def segment_view(view: str, names: list[str]) -> str:
    """The query of a view over segments, with paths relative to the centre's folder."""
    listed = ", ".join(f"'segments/{name}'" for name in names)
    return f"SELECT * FROM read_parquet([{listed}])" if names else _EMPTY_VIEWS[view]


def _empty_view(fields: list[tuple[str, str]]) -> str:
    columns = ", ".join(f'NULL::{_sql_type(name, dtype)} AS "{name}"' for name, dtype in fields)
    return f"SELECT {columns} WHERE false"


def _sql_type(name: str, dtype: str) -> str:
    """Type of a segment's column as DuckDB reads it from Parquet."""
    if name in DAY_COLUMNS:
        return "DATE"
    return "TIMESTAMP" if name in TIME_COLUMNS else _SQL_TYPES[dtype]


_SQL_TYPES: Final = {
    "int8": "TINYINT",
    "uint8": "UTINYINT",
    "int16": "SMALLINT",
    "uint16": "USMALLINT",
    "int32": "INTEGER",
    "uint32": "UINTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "text": "VARCHAR",
}


def _empty_views() -> dict[str, str]:
    views = {
        service.name.lower(): _empty_view([(f.name, f.dtype) for f in segment_fields(service)]) for service in Service
    }
    views["bills"] = _empty_view([(f.name, f.dtype) for f in (*BILL_FIELDS, *BILL_EXTRA)])
    views["unreadable"] = _empty_view([("txn_id", "int64"), ("field", "text"), ("value", "text"), ("remedy", "text")])
    return views


_EMPTY_VIEWS: Final = _empty_views()
