"""Hand-written transactions through the real ladder and replay: tests/cases/clearing/*.table, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence.handmade import Cases, Centre, Line

from clearing import spill
from clearing.checks import AFTER_BENEFIT, BEFORE_BENEFIT, EARLY
from clearing.status import STATUS_TEXT, ClearingStatus, Direction, default_disposition

CASES = Path(__file__).resolve().parents[2] / "cases" / "clearing"
TABLES = ("ladder", "replay", "across_cards")


def cases_of(table: str, centre: Centre) -> list[Line]:
    """The transactions of one table."""
    return Cases(centre).read((CASES / f"{table}.table").read_text("utf-8"))


def differences(centre: Centre, lines: list[Line]) -> Iterator[str]:
    """Every line that ended otherwise than its last word says."""
    found = centre.decisions()
    for line in lines:
        if found.get(line.place) != line.expected:
            yield f"{line.text}: found {found.get(line.place)}"


@pytest.mark.parametrize("table", TABLES)
def test_every_case_ends_as_it_says(table: str, tmp_path: Path) -> None:
    centre = Centre.create(tmp_path / "centre")
    lines = cases_of(table, centre)
    centre.deliver(lines)
    centre.run()
    assert "\n".join(differences(centre, lines)) == ""


@pytest.mark.parametrize("table", ["replay", "across_cards"])
def test_cases_end_the_same_when_each_receipt_is_run_by_itself(table: str, tmp_path: Path) -> None:
    centre = Centre.create(tmp_path / "centre")
    lines = cases_of(table, centre)
    centre.deliver(lines)
    centre.run_apart(lines)
    assert "\n".join(differences(centre, lines)) == ""


@pytest.mark.parametrize("table", ["replay", "across_cards"])
def test_cases_end_the_same_in_many_partitions(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    centre = Centre.create(tmp_path / "centre")
    lines = cases_of(table, centre)
    monkeypatch.setattr(spill, "IN_MEMORY_ROWS", len(lines) // 5)
    monkeypatch.setattr(spill, "PARTITION_ROWS", len(lines) // 5)
    centre.deliver(lines)
    centre.run()
    assert "\n".join(differences(centre, lines)) == ""


def test_the_tables_reach_every_status(tmp_path: Path) -> None:
    centre = Centre.create(tmp_path / "centre")
    reached = {line.expected for table in TABLES for line in cases_of(table, centre)}
    # A row that cannot be decoded cannot be written as a line either: test_intake_outcomes has it. What a close
    # decides of grey rows: test_grey_records.
    assert reached == set(ClearingStatus.__members__) - {"NOT_PROCESSED", "UNREADABLE", *AT_CLOSE}


AT_CLOSE = ("GREY_PROVEN", "GREY_DISPROVEN")


def test_the_rungs_stand_in_the_order_of_their_numbers() -> None:
    """The published ladder (rules §4) is in ascending order: the first failure is the smallest number."""
    rungs = [check.status for check in (*EARLY, *BEFORE_BENEFIT, *AFTER_BENEFIT)]
    assert rungs == sorted(rungs)
    between = set(ClearingStatus) - set(rungs) - {0, 1}
    assert {status.name for status in between} == {
        "UNREADABLE", "DUPLICATE", "REPLAY", "CONFLICT", "BENEFIT_UNMATCHED", *AT_CLOSE
    }  # fmt: skip


# --- words and dispositions -------------------------------------------------------------------


@pytest.mark.parametrize("status", ClearingStatus)
def test_every_status_speaks_both_languages(status: ClearingStatus) -> None:
    text = STATUS_TEXT[status]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh)
    assert len(text.en.split()) > 1
    assert text.en.isascii()
    assert [other for other in ClearingStatus if STATUS_TEXT[other].zh == text.zh] == [status]
    assert [other for other in ClearingStatus if STATUS_TEXT[other].en == text.en] == [status]


DISPOSITIONS = {
    **dict.fromkeys(["FORM_INVALID", "TIME_IMPOSSIBLE", "ALGORITHM_NOT_PERMITTED"], ("REJECTED", "HELD")),
    **dict.fromkeys(["TAC_FAILED", "CARD_BLACKLISTED", "GREY_DISPROVEN"], ("REJECTED", "HELD")),
    **dict.fromkeys(["DUPLICATE", "REPLAY"], ("DUPLICATE", "DUPLICATE")),
    "NOT_PROCESSED": ("NONE", "NONE"),
    "ACCEPTED": ("ACCEPTED", "ACCEPTED"),
    "UNREADABLE": ("UNREADABLE", "UNREADABLE"),
    "TEST_RECORD": ("REJECTED", "REJECTED"),
}
"""Rules §4, last part; everything else is held in both directions."""


@pytest.mark.parametrize("status", ClearingStatus)
def test_every_status_has_its_published_disposition(status: ClearingStatus) -> None:
    found = tuple(default_disposition(status, direction).name for direction in (Direction.DEBIT, Direction.CREDIT))
    assert found == DISPOSITIONS.get(status.name, ("HELD", "HELD"))
