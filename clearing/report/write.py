"""Documents of a business date in the formats asked for: HTML, XLSX, PDF, CSV, Parquet; signed with a key."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from clearing.durable import write_durably
from clearing.reconcile.checks import CheckResult
from clearing.reconcile.latest import latest_checks
from clearing.report import documents, statements, workbook
from clearing.report.daily import RELATIONS as DAILY_RELATIONS
from clearing.report.daily import daily_html
from clearing.report.facts import Facts, Row, published_ledger, read_facts
from clearing.report.messages import Language
from clearing.report.signing import DocumentSigner, sign_documents
from clearing.report.typeset import pdf

Format = Literal["html", "xlsx", "pdf", "csv", "parquet"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

TABLES: Final = (
    "open_items", "trial_balance", "positions", "payments", "fund_claims", "files", "claim_lines", "regions",
    "region_claims", "month_participants", "month_fees",
)  # fmt: skip
"""Relations that CSV and Parquet hold, one file each: codes and fen as the ledger has them."""

_RELATIONS: Final = tuple(
    dict.fromkeys((*DAILY_RELATIONS, *statements.RELATIONS, *documents.RELATIONS, *workbook.RELATIONS, *TABLES[:1]))
)


def write_reports(
    directory: Path,
    date: datetime.date,
    *,
    formats: tuple[Format, ...] = ("html",),
    languages: tuple[Language, ...] = ("zh", "en"),
    signer: DocumentSigner | None = None,
) -> list[Path]:
    """Write the documents of a business date into ``reports/<date>/``; the same ledger gives the same bytes.

    Args:
        directory: the centre.
        date: business date, open or closed.
        formats: which of :data:`FORMATS`.
        languages: one document per language; tables of codes and fen have none.
        signer: signs every document beside it.

    Returns:
        the documents, in order, then their signatures.

    Raises:
        ConfigError: ``centre.yaml`` cannot be used.
        ClearingError: the projection is missing or damaged.
    """
    with published_ledger(directory) as store:
        facts = read_facts(store, directory, date, _RELATIONS)
        checks = latest_checks(store, directory, facts.settings.reconciliation, date)
    folder = directory / "reports" / date.isoformat()
    paths: list[Path] = []
    for form in formats:
        for name, content in _WRITERS[form](facts, checks, languages):
            write_durably(folder / name, content)
            paths.append(folder / name)
    return paths + (sign_documents(paths, signer) if signer else [])


Made = list[tuple[str, bytes]]


def _html(facts: Facts, checks: list[CheckResult], languages: tuple[Language, ...]) -> Made:
    return [(f"reconciliation.{each}.html", daily_html(facts, checks, each).encode()) for each in languages]


def _xlsx(facts: Facts, checks: list[CheckResult], languages: tuple[Language, ...]) -> Made:
    return [(f"reconciliation.{each}.xlsx", workbook.daily_workbook(facts, checks, each)) for each in languages]


def _pdf(facts: Facts, _: list[CheckResult], languages: tuple[Language, ...]) -> Made:
    return [
        (f"{name}.{language}.pdf", pdf(document))
        for language in languages
        for name, document in documents.Writer(facts, language).documents()
    ]


def _csv(facts: Facts, _: list[CheckResult], __: tuple[Language, ...]) -> Made:
    return [(f"{name}.csv", _as_csv(facts[name]).encode()) for name in TABLES]


def _parquet(facts: Facts, _: list[CheckResult], __: tuple[Language, ...]) -> Made:
    made = []
    for name in TABLES:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(facts[name]), buffer)
        made.append((f"{name}.parquet", buffer.getvalue()))
    return made


def _as_csv(rows: list[Row]) -> str:
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return buffer.getvalue()


_WRITERS: Final[dict[Format, Callable[[Facts, list[CheckResult], tuple[Language, ...]], Made]]] = {
    "html": _html,
    "xlsx": _xlsx,
    "pdf": _pdf,
    "csv": _csv,
    "parquet": _parquet,
}
