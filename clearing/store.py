"""The one home of DuckDB: a connection that runs named SQL files and takes rows as parameters or registered Arrow."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from card_io.records import NULL
from clearing.errors import ClearingError

_STREAMED_ROWS = 50_000
_FEW_ROWS = 100
"""Rows that go in as parameters: to register an Arrow table takes longer."""
_EPOCH = datetime.datetime(1970, 1, 1)


class Store:
    """One DuckDB database of a centre. Relative paths in SQL are relative to the centre's folder."""

    def __init__(self, path: Path, centre: Path, *, read_only: bool = False, threads: int = 2) -> None:
        """Open (or create) the database.

        Raises:
            ClearingError: another process holds it, or it is not a database.
        """
        try:
            self._connection = duckdb.connect(str(path), read_only=read_only, config={"threads": threads})
        except duckdb.Error as exc:
            raise ClearingError(
                f"the database cannot be opened ({type(exc).__name__})", where=path, remedy="run: clearing rebuild"
            ) from exc
        self._connection.execute("SET python_enable_replacements = false")
        # A bar of DuckDB's own would stand in the JSON on standard output.
        self._connection.execute("SET enable_progress_bar = false")
        folder = str(centre.resolve())
        self._connection.execute("SET file_search_path = $centre", {"centre": folder})
        self._connection.execute("SET TimeZone = 'UTC'")
        # SQL may read the centre's files and no others, and may not lift that again.
        self._connection.execute("SET allowed_directories = $folders", {"folders": [f"{folder}/", "segments/"]})
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Close the database; a checkpoint is written."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def db_transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def holds(self, table: str) -> bool:
        """Whether there is such a table or view; the catalog's own tables would answer more slowly."""
        try:
            self._connection.execute(f'SELECT 1 FROM "{table}" LIMIT 0')
        except duckdb.CatalogException:
            return False
        except duckdb.Error as exc:
            raise ClearingError(f"SQL failed: {exc}", where="ledger.duckdb", remedy="run: clearing verify") from exc
        return True

    def run(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        try:
            return list(self._connection.execute(sql, parameters or {}).fetchall())
        except duckdb.Error as exc:
            raise ClearingError(f"SQL failed: {exc}", where="ledger.duckdb", remedy="run: clearing verify") from exc

    def named(self, name: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of the SQL file ``ledger/sql/<name>.sql``."""
        return self.run(sql_text(name), parameters)

    def records(self, sql: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Rows as dictionaries by column name."""
        try:
            cursor = self._connection.execute(sql, parameters or {})
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as exc:
            raise ClearingError(f"SQL failed: {exc}", where="ledger.duckdb", remedy="run: clearing verify") from exc

    def stream(self, sql: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Rows as dictionaries by column name, a part of them in memory at a time; no other query runs meanwhile."""
        try:
            cursor = self._connection.execute(sql, parameters or {})
            names = [column[0] for column in cursor.description or ()]
            while rows := cursor.fetchmany(_STREAMED_ROWS):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
        except duckdb.Error as exc:
            raise ClearingError(f"SQL failed: {exc}", where="ledger.duckdb", remedy="run: clearing verify") from exc

    def columns(self, sql: str, parameters: dict[str, Any] | None = None) -> dict[str, npt.NDArray[np.int64]]:
        """Rows of integers as one int64 array per column; missing values are :data:`NULL`."""
        try:
            fetched = self._connection.execute(sql, parameters or {}).fetchnumpy()
        except duckdb.Error as exc:
            raise ClearingError(f"SQL failed: {exc}", where="ledger.duckdb", remedy="run: clearing verify") from exc
        return {name: np.ma.filled(column.astype(np.int64), NULL) for name, column in fetched.items()}

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Append rows; every row must land (control total at DuckDB's boundary)."""
        if not rows:
            return
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        listed = ", ".join(f'"{name}"' for name in columns)
        into = f'INSERT INTO "{table}" ({listed})'
        if len(rows) <= _FEW_ROWS:
            # DuckDB takes no numpy scalar.
            given = {
                f"column_{number}": [each.item() if isinstance(each, np.generic) else each for each in values]
                for number, values in enumerate(columns.values())
            }
            arrived = self.run(f"{into} SELECT {', '.join(f'unnest(${name})' for name in given)}", given)[0][0]
        else:
            self._connection.register("incoming", pa.table(columns))
            arrived = self.run(f"{into} SELECT {listed} FROM incoming")[0][0]
            self._connection.unregister("incoming")
        assert arrived == len(rows), f"{table}: {len(rows)} rows in, {arrived} arrived"

    def script(self, name: str) -> None:
        """Run every statement of an SQL file."""
        self.run(sql_text(name))


@functools.cache
def sql_text(name: str) -> str:
    """The text of ``ledger/sql/<name>.sql``."""
    return files("clearing").joinpath("ledger", "sql", f"{name}.sql").read_text("utf-8")


def timestamp(seconds: int) -> datetime.datetime:
    """Wall seconds as a TIMESTAMP value."""
    return _EPOCH + datetime.timedelta(seconds=seconds)
