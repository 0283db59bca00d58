"""The exception sheet: download, fill, preview, propose; what is refused by row, field and remedy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from clearing.calendar import seconds_of
from clearing.corrections.adjust import approve
from clearing.corrections.sheet import upload, write_exceptions
from clearing.errors import ClearingError, RefusedError
from evidence.centres import PASSPHRASE
from evidence.corrected import NEXT_NOON, Corrected, closed_centre, copied, moved_between

CLOCK = seconds_of(NEXT_NOON)
NAMED = {
    "overcharged": "TRANSIT", "suspense": "BALANCE_BREAK", "unproven": "KEY_UNKNOWN", "utility": "ACCEPTED",
    "load_held": "TAC_MISSING", "unknown_merchant": "UNKNOWN_MERCHANT", "one": "CONFLICT", "other": "CONFLICT",
}  # fmt: skip
"""What waits for a person; the grey record does not yet."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Corrected:
    """Read only."""
    return closed_centre(tmp_path_factory.mktemp("closed") / "centre")


@pytest.fixture(scope="module")
def downloaded(closed: Corrected) -> Path:
    """Read only."""
    path = closed.directory.parent / "exceptions.xlsx"
    assert write_exceptions(closed.directory, path, passphrase=PASSPHRASE, now=CLOCK) == len(NAMED)
    return path


@pytest.fixture
def fresh(closed: Corrected, tmp_path: Path) -> Corrected:
    return copied(closed, tmp_path / "centre")


def fill(closed: Corrected, path: Path, target: Path, **decisions: tuple[Any, ...]) -> Path:
    """A copy with (decision, amount, payee, note) on the rows of some transactions."""
    book = openpyxl.load_workbook(path)
    sheet = book["exceptions"]
    row_of = {int(sheet.cell(row, 1).value): row for row in range(3, sheet.max_row + 1)}
    for name, cells in decisions.items():
        for column, value in enumerate(cells, 15):
            sheet.cell(row_of[closed.txn[name]], column).value = value
    book.save(target)
    return target


def preview(closed: Corrected, path: Path) -> Any:
    return upload(closed.directory, path, passphrase=PASSPHRASE, by=None, now=CLOCK)


def test_a_row_says_why_it_is_there_and_what_can_be_done(closed: Corrected, downloaded: Path) -> None:
    sheet = openpyxl.load_workbook(downloaded)["exceptions"]
    listed = [
        dict(zip([c.value for c in sheet[2]], [c.value for c in row], strict=True)) for row in sheet.iter_rows(3)
    ]
    by_txn = {int(row["txn_id"]): row for row in listed}

    assert set(by_txn) == {closed.txn[name] for name in NAMED}
    row = by_txn[closed.txn["suspense"]]
    assert row["allowed"] == "REFUND_SUSPENSE RELEASE WRITE_OFF_SUSPENSE"
    assert (row["reason_zh"], row["reason_en"]) == (
        "交易前后余额不符", "Balances before and after do not tie with the amount",
    )  # fmt: skip
    assert (row["on"], row["open_fen"], row["age_days"]) == ("suspense_payable", 200, 1)
    assert "REFUND_OVERCHARGE" in by_txn[closed.txn["overcharged"]]["allowed"]


def test_a_preview_posts_nothing_and_names_bad_rows(closed: Corrected, downloaded: Path, tmp_path: Path) -> None:
    filled = fill(
        closed, downloaded, tmp_path / "filled.xlsx",
        suspense=("RELEASE", None, None, "receipt seen"),
        unproven=("RELEASE", None, None, "?"),
        overcharged=("REFUND_OVERCHARGE", "sixty", None, "counter"),
        utility=("REFUND_EXCESS", 101, None, "too much"),
        unknown_merchant=("RELEASE", None, None, ""),
    )  # fmt: skip
    before = closed.trial_balance()

    outcome = preview(closed, filled)

    assert (outcome.proposal, outcome.entry) == (None, None)
    assert [(item["template"], item["fen"]) for item in outcome.items] == [("RELEASE", 200)]
    sheet = openpyxl.load_workbook(filled)["exceptions"]
    row_of = {int(sheet.cell(row, 1).value): row for row in range(3, sheet.max_row + 1)}
    expected = [
        ("unproven", "decision", "'RELEASE' is not possible here", "one of: RELEASE_UNPROVEN"),
        ("overcharged", "amount_fen", "'sixty' is no whole number", "write digits only"),
        (
            "utility",
            "decision",
            "101 fen of cardholder_suspense 10, where the transaction has 100",
            "take at most that",
        ),
        ("unknown_merchant", "note", "no reason", "say why in the last column"),
    ]
    found = [(each["row"], each["field"], each["what"], each["remedy"]) for each in outcome.refused]
    assert found == sorted((row_of[closed.txn[name]], *rest) for name, *rest in expected)
    assert moved_between(before, closed.trial_balance()) == {}


def test_a_sheet_is_applied_once_by_two_persons(fresh: Corrected, downloaded: Path, tmp_path: Path) -> None:
    filled = fill(
        fresh, downloaded, tmp_path / "filled.xlsx",
        suspense=("RELEASE", None, 511, "receipt seen"), utility=("REFUND_EXCESS", 40, None, "asked at the counter"),
    )  # fmt: skip
    before = fresh.trial_balance()
    propose = {"passphrase": PASSPHRASE, "by": fresh.signer("reconciler"), "now": CLOCK}
    outcome = upload(fresh.directory, filled, **propose)  # type: ignore[arg-type]
    assert outcome.proposal is not None
    assert moved_between(before, fresh.trial_balance()) == {}

    approve(fresh.directory, outcome.proposal, passphrase=PASSPHRASE, by=fresh.signer("approver.a"), now=CLOCK)

    assert moved_between(before, fresh.trial_balance()) == {
        "suspense_payable 501": -200, "merchant_payable 511": 200, "cardholder_suspense 10": -40,
        "refund_payable 10": 40,
    }  # fmt: skip
    with pytest.raises(RefusedError, match="applied already"):
        upload(fresh.directory, filled, **propose)  # type: ignore[arg-type]
    more = fill(fresh, filled, tmp_path / "more.xlsx", load_held=("RELEASE_LOAD", None, None, "agent's slip"))
    with pytest.raises(RefusedError, match="applied already"):
        upload(fresh.directory, more, **propose)  # type: ignore[arg-type]


def _money(sheet: Any) -> None:
    sheet.cell(3, 10).value = 99_999


def _allowed(sheet: Any) -> None:
    sheet.cell(3, 14).value = "REFUND"


def _row_gone(sheet: Any) -> None:
    sheet.delete_rows(4)


@pytest.mark.parametrize("change", [_money, _allowed, _row_gone])
def test_a_sheet_changed_elsewhere_is_refused(
    closed: Corrected, downloaded: Path, tmp_path: Path, change: Callable[[Any], None]
) -> None:
    book = openpyxl.load_workbook(downloaded)
    change(book["exceptions"])
    book.save(tmp_path / "changed.xlsx")

    with pytest.raises(ClearingError, match="a locked cell was changed, or a row added or removed"):
        preview(closed, tmp_path / "changed.xlsx")


def test_what_is_no_sheet_is_refused(closed: Corrected, tmp_path: Path) -> None:
    path = tmp_path / "notes.xlsx"
    path.write_text("not a workbook")
    with pytest.raises(ClearingError, match="no exception sheet"):
        preview(closed, path)
    openpyxl.Workbook().save(path)
    with pytest.raises(ClearingError, match="no exception sheet"):
        preview(closed, path)


def test_a_sorted_sheet_is_the_same_sheet(closed: Corrected, downloaded: Path, tmp_path: Path) -> None:
    filled = fill(closed, downloaded, tmp_path / "filled.xlsx", suspense=("RELEASE", None, None, "seen"))
    book = openpyxl.load_workbook(filled)
    sheet = book["exceptions"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(3)]
    for at, values in enumerate(sorted(rows, key=lambda row: str(row[4]), reverse=True), 3):
        for column, value in enumerate(values, 1):
            sheet.cell(at, column).value = float(value) if isinstance(value, int) else value
    book.save(filled)

    outcome = preview(closed, filled)

    assert [item["template"] for item in outcome.items] == ["RELEASE"]
    assert outcome.refused == []


def test_a_sheet_repaired_by_libreoffice_comes_in_again(closed: Corrected, downloaded: Path, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("soffice is not installed (scripts/setup --campaign installs it): the conversion is not tried")
    filled = fill(closed, downloaded, tmp_path / "filled.xlsx", suspense=("RELEASE", None, None, "seen"))
    folder = tmp_path / "repaired"
    command = [office, "--headless", "--convert-to", "xlsx", "--outdir", str(folder), str(filled)]
    subprocess.run(
        command, check=True, capture_output=True, timeout=120, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )

    outcome = preview(closed, folder / "filled.xlsx")

    assert [(item["template"], item["fen"]) for item in outcome.items] == [("RELEASE", 200)]
