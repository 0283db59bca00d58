"""The exception sheet: every row a person has to decide as XLSX, and the decisions of a filled one.

A row carries its reason in both languages and the decisions that its rule allows; a person fills the last columns.
The sheet names itself by a digest over what must not be changed, so that no sheet is applied twice and none that was
edited elsewhere is believed. Saved again by another program it stays the same sheet: values count, not their form.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import openpyxl
import xlsxwriter
from openpyxl.utils.exceptions import InvalidFileException

from clearing.calendar import date_of
from clearing.centre import Centre
from clearing.corrections.adjust import Outcome, judge, propose, shown
from clearing.corrections.commit import open_window
from clearing.corrections.persons import Signer
from clearing.corrections.proposals import posted_sheets
from clearing.corrections.rules import RULES, Item, allowed_for
from clearing.corrections.subject import Subject, is_open_exception, reference_of, subjects_of
from clearing.durable import write_durably
from clearing.engine import declared_now, opened
from clearing.errors import ClearingError, RefusedError
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition
from clearing.store import Store, sql_text

_SHEET: Final = "exceptions"
_ABOUT: Final = "about"
_LOCKED: Final = ("txn_id", "reference", "service", "merchant", "issuer", "disposition", "status", "reason_zh",
                  "reason_en", "fen", "on", "open_fen", "age_days", "allowed")  # fmt: skip
_FILLED: Final = ("decision", "amount_fen", "payee", "note")
_TITLES: Final = {
    "txn_id": "交易号 txn_id", "reference": "文件:行 File:row", "service": "业务 Service",
    "merchant": "商户 Merchant", "issuer": "发卡方 Issuer", "disposition": "处置 Disposition",
    "status": "状态 Status", "reason_zh": "原因", "reason_en": "Reason", "fen": "金额(分) Amount (fen)",
    "on": "所在科目 Lies on", "open_fen": "待处理(分) Open (fen)", "age_days": "天数 Days",
    "allowed": "可选处理 Decisions", "decision": "处理 Decision",
    "amount_fen": "处理金额(分) Amount (fen)", "payee": "收款方 Payee", "note": "说明 Note",
}  # fmt: skip
_HEAD: Final = 2
"""Rows above the first: titles for people, names for the program."""


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """Why a row of a sheet is refused: its number in the sheet, the field, what, and what to do."""

    row: int
    field: str
    what: str
    remedy: str


def open_exceptions(centre: Centre, store: Store, window: int) -> list[Subject]:
    """Transactions that wait for a person, oldest first."""
    txns = [txn for (txn,) in store.run(sql_text("corrections/exceptions"))]
    subjects = subjects_of(centre, store, txns, window) if txns else {}
    waiting = [each for each in subjects.values() if is_open_exception(each) and each.undecided is None]
    return sorted(waiting, key=lambda each: (-each.age_days, each.txn_id))


def write_exceptions(
    directory: Path, path: Path, *, passphrase: str, now: int | None = None, wait: float = 60.0
) -> int:
    """Write the exception sheet of this moment; returns its rows."""
    with opened(directory, passphrase, wait=wait, purpose="clearing adjust") as (centre, projection):
        window = open_window(centre, declared_now(centre, now))
        projection.refresh_if_stale(centre.journal)
        waiting = open_exceptions(centre, projection.store, window)
    write_durably(path, workbook_of([_cells(each) for each in waiting], date_of(window).isoformat()))
    return len(waiting)


def _cells(subject: Subject) -> dict[str, Any]:
    """The locked columns of a row."""
    status = ClearingStatus(subject.status)
    lies = sorted((kind, fen) for (kind, _, _), fen in subject.accounts.items() if kind in _LIES_ON and fen)
    kind, fen = lies[0] if lies else ("", 0)
    return {
        "txn_id": str(subject.txn_id),
        "reference": reference_of(subject.txn_id),
        "service": subject.service,
        "merchant": subject.merchant,
        "issuer": subject.issuer,
        "disposition": Disposition(subject.disposition).name.lower(),
        "status": status.name,
        "reason_zh": STATUS_TEXT[status].zh,
        "reason_en": STATUS_TEXT[status].en,
        "fen": subject.amount,
        "on": kind,
        "open_fen": abs(fen),
        "age_days": subject.age_days,
        "allowed": " ".join(allowed_for(subject)),
    }


_LIES_ON: Final = ("suspense_payable", "held_memo", "load_claim", "cardholder_payable", "cardholder_suspense")


def sheet_digest(rows: list[dict[str, Any]], window: str) -> str:
    """SHA-256 hex of what must not change in a sheet."""
    # Sorting the sheet is allowed: the order of rows says nothing.
    content = [[window], *sorted([str(row[name]) for name in _LOCKED] for row in rows)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def workbook_of(rows: list[dict[str, Any]], window: str) -> bytes:
    """An XLSX of these rows: locked columns grey, decisions to choose from a list."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet, about = book.add_worksheet(_SHEET), book.add_worksheet(_ABOUT)
        title = book.add_format({"bold": True, "text_wrap": True, "bg_color": "#d9e2f3"})
        locked = book.add_format({"bg_color": "#f2f2f2"})
        free = book.add_format({"locked": False})
        names = (*_LOCKED, *_FILLED)
        for column, name in enumerate(names):
            sheet.write_string(0, column, _TITLES[name], title)
            sheet.write_string(1, column, name, locked)
        sheet.set_row(1, None, None, {"hidden": True})
        for number, row in enumerate(rows, _HEAD):
            for column, name in enumerate(names):
                if name in _FILLED:
                    sheet.write_blank(number, column, None, free)
                elif isinstance(row[name], int):
                    sheet.write_number(number, column, row[name], locked)
                else:
                    sheet.write_string(number, column, row[name], locked)
            choices = row["allowed"].split()
            if choices:
                where = (number, len(_LOCKED), number, len(_LOCKED))
                sheet.data_validation(*where, {"validate": "list", "source": choices})
        sheet.freeze_panes(_HEAD, 2)
        sheet.set_column(0, len(names) - 1, 16)
        sheet.protect("", {"format_columns": True, "sort": False, "autofilter": True})
        for at, (name, value) in enumerate((("window", window), ("sheet", sheet_digest(rows, window)))):
            about.write_string(at, 0, name)
            about.write_string(at, 1, value)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class FilledSheet:
    """A sheet as read back: its digest and its decided rows, each with its number."""

    digest: str
    rows: list[tuple[int, dict[str, Any]]]


def read_sheet(path: Path) -> FilledSheet:
    """Read a filled sheet.

    Raises:
        ClearingError: no such workbook, or a locked cell was changed, or rows were removed.
    """
    try:
        book = openpyxl.load_workbook(path, read_only=False, data_only=True)
        about = {row[0]: str(row[1]) for row in book[_ABOUT].iter_rows(max_col=2, values_only=True) if row[0]}
        listed = list(book[_SHEET].iter_rows(values_only=True))
    except (InvalidFileException, zipfile.BadZipFile, OSError, KeyError, ValueError) as exc:
        raise ClearingError(
            "no exception sheet", where=path, remedy="download one: clearing adjust DIR sheet"
        ) from exc
    names = [str(name) for name in listed[1]] if len(listed) > 1 else []
    if names[: len(_LOCKED) + len(_FILLED)] != [*_LOCKED, *_FILLED]:
        raise ClearingError("the columns are not those downloaded", where=path, remedy="download a fresh sheet")
    rows = [
        (number, dict(zip((*_LOCKED, *_FILLED), (_value(cell) for cell in cells), strict=False)))
        for number, cells in enumerate(listed[_HEAD:], _HEAD + 1)
        if any(cell is not None for cell in cells)
    ]
    digest = sheet_digest([row for _, row in rows], about.get("window", ""))
    if digest != about.get("sheet"):
        raise ClearingError(
            "a locked cell was changed, or a row added or removed",
            where=path,
            remedy="fill the last four columns only, in a fresh sheet",
        )
    return FilledSheet(digest, rows)


def _value(cell: Any) -> Any:
    """A cell's value; whole numbers come back as such, whichever program saved them."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return "" if cell is None else cell


def decided_items(sheet: FilledSheet) -> tuple[list[tuple[int, Item]], list[RowRefusal]]:
    """The corrections that a filled sheet asks for, by row; and what cannot be read."""
    items, refusals = [], []
    for number, row in sheet.rows:
        if not str(row["decision"]).strip():
            continue
        item = _item(number, row)
        if isinstance(item, RowRefusal):
            refusals.append(item)
        else:
            items.append((number, item))
    return items, refusals


def _item(number: int, row: dict[str, Any]) -> Item | RowRefusal:
    decision, note = str(row["decision"]).strip().upper(), str(row["note"]).strip()
    if decision not in RULES or decision not in str(row["allowed"]).split():
        return RowRefusal(
            number, "decision", f"{row['decision']!r} is not possible here", f"one of: {row['allowed']}"
        )
    if not note:
        return RowRefusal(number, "note", "no reason", "say why in the last column")
    values: dict[str, int | None] = {"amount_fen": None, "payee": 0}
    for name in values:
        if row[name] == "":
            continue
        try:
            values[name] = int(str(row[name]))
        except ValueError:
            return RowRefusal(number, name, f"{row[name]!r} is no whole number", "write digits only")
        if (values[name] or 0) <= 0:
            return RowRefusal(number, name, f"{row[name]} is not above zero", "leave it blank for all there is")
    return Item(decision, note, txn_id=int(row["txn_id"]), fen=values["amount_fen"], payee=values["payee"] or 0)


def upload(
    directory: Path,
    path: Path,
    *,
    passphrase: str,
    by: Signer | None,
    now: int | None = None,
    wait: float = 60.0,
) -> Outcome:
    """Preview what a filled sheet would do or, by a person, propose it for a second one to approve.

    Args:
        directory: the centre.
        path: the filled sheet.
        passphrase: of the key store.
        by: who proposes it; None = preview only.
        now: declared clock of a simulated centre, wall seconds.
        wait: seconds to wait for the centre's lock.

    Raises:
        ClearingError: no sheet of this centre, or applied already. Refused rows are listed in the outcome; while
            there is one, nothing is proposed.
    """
    sheet = read_sheet(path)
    items, refusals = decided_items(sheet)
    with opened(directory, passphrase, wait=wait, purpose="clearing adjust") as (centre, projection):
        if sheet.digest in posted_sheets(centre.journal):
            raise RefusedError("the sheet was applied already", where=path, remedy="download a fresh one")
        window = open_window(centre, declared_now(centre, now))
        projection.refresh_if_stale(centre.journal)
        judged = judge(centre, projection.store, [item for _, item in items], window)
    for (number, _), each in zip(items, judged, strict=True):
        if each.refusal is not None:
            refusals.append(RowRefusal(number, "decision", each.refusal.what, each.refusal.remedy))
    listed = [asdict(each) for each in sorted(refusals, key=lambda each: each.row)]
    decided = [each.decided for each in judged if each.decided is not None]
    if by is None or listed:
        date = date_of(window).isoformat()
        return Outcome(None, date, None, [shown(each) for each in decided], listed)
    return propose(
        directory,
        [each.item for each in decided],
        passphrase=passphrase,
        by=by,
        now=now,
        wait=wait,
        sheet=sheet.digest,
    )
