"""Workbooks (XLSX): tables with a head that stays, fen that stay exact, yuan as formulas. The home of xlsxwriter."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from clearing.payments.money_text import yuan_of
from clearing.report.text import masked

EXACT: Final = 2**53
"""A spreadsheet's numbers are doubles: integers beyond this are written as text."""

_MADE: Final = datetime.datetime(2000, 1, 1)
"""Time of creation written into every workbook: equal content gives equal bytes."""

_WIDEST: Final = 60


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the key of its values in a row, its title, and whether it counts fen (a yuan column follows)."""

    key: str
    title: str
    fen: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a workbook."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[dict[str, Any]]


def workbook(sheets: Sequence[Sheet], *, title: str) -> bytes:
    """The bytes of a workbook; equal content gives equal bytes."""
    import xlsxwriter  # Only where a workbook is written.

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": title, "created": _MADE})
    head = book.add_format({"bold": True, "bg_color": "#F3F5F8", "bottom": 1, "text_wrap": True, "valign": "top"})
    money = book.add_format({"num_format": "#,##0.00"})
    for sheet in sheets:
        _write(book.add_worksheet(sheet.title), sheet, head, money)
    book.close()
    return buffer.getvalue()


def _write(page: Any, sheet: Sheet, head: Any, money: Any) -> None:
    at = 0
    for column in sheet.columns:
        page.write_string(0, at, column.title + (" (fen)" if column.fen else ""), head)
        values = [row[column.key] for row in sheet.rows]
        longest = max([len(column.title), *(len(str(value)) for value in values)])
        page.set_column(at, at, min(longest + 2, _WIDEST))
        for line, value in enumerate(values, 1):
            _write_cell(page, line, at, value)
        if column.fen:
            at += 1
            page.write_string(0, at, column.title, head)
            page.set_column(at, at, longest + 4)
            for line, value in enumerate(values, 1):
                _write_yuan(page, line, at, value, money)
        at += 1
    page.freeze_panes(1, 0)
    page.autofilter(0, 0, len(sheet.rows), max(at - 1, 0))


def _write_cell(page: Any, line: int, at: int, value: object) -> None:
    if value is None:
        return
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= EXACT:
        page.write_number(line, at, value)
    else:
        page.write_string(line, at, str(masked(str(value)) if isinstance(value, str) else value))


def _write_yuan(page: Any, line: int, at: int, fen: int | None, money: Any) -> None:
    if fen is None:
        return
    if abs(fen) <= EXACT:
        cell = f"{_column_name(at - 1)}{line + 1}"
        page.write_formula(line, at, f"={cell}/100", money, yuan_of(fen))
    else:
        page.write_string(line, at, yuan_of(fen))


def _column_name(at: int) -> str:
    name = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
