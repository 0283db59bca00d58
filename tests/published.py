"""The published ledger of a centre, as somebody with DuckDB reads it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb


@functools.cache
def _instance() -> duckdb.DuckDBPyConnection:
    """One instance for all questions: to make one takes longer than most of them."""
    instance = duckdb.connect()
    instance.execute("SET enable_external_file_cache = false")  # tests change files
    return instance


@contextmanager
def published(centre: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads the ledger; one at a time."""
    connection = _instance()
    path = str(centre / "ledger.duckdb").replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS ledger (READ_ONLY)")
    try:
        connection.execute("USE ledger")
        connection.execute("SET file_search_path = $centre", {"centre": str(centre)})
        yield connection
    finally:
        connection.execute("USE memory")
        connection.execute("DETACH ledger")


def ask(centre: Path, sql: str, given: dict[str, Any] | None = None, *, records: bool = False) -> list[Any]:
    """Ask the published ledger; rows as tuples, or as dictionaries by column."""
    with published(centre) as ledger:
        found = ledger.execute(sql, given or {})
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) if records else row for row in found.fetchall()]
