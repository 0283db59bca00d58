"""Cut-offs, late records, a second run in the same window, and closing."""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearing.calendar import date_of, seconds_of
from clearing.errors import RefusedError
from clearing.settlement import CloseSummary, close_window
from clearing.verify import verify
from evidence.centres import PASSPHRASE, Ledger, copy_of, entries, ledger_of
from evidence.handmade import Cases, Centre, Line

WINDOW = datetime.date(2026, 3, 2)
CUT_OFF = "2026-03-03T04:00:00"
FIRST_RUN, SECOND_RUN = "2026-03-02T20:30:00", "2026-03-02T22:00:00"
TABLE = (Path(__file__).resolve().parents[1] / "cases" / "clearing" / "reopening.table").read_text("utf-8")
GROUPS = dict(re.findall(r"^== (.+)\n((?:(?!==).*\n)*)", TABLE, re.MULTILINE))
DECIDED = "status, disposition, card_paid, fund, fund_paid, cardholder_suspense, posting_template"


def centre_with(folder: Path, text: str) -> tuple[Centre, list[Line]]:
    """A new centre in which the transactions of a table have been delivered."""
    centre = Centre.create(folder)
    lines = Cases(centre).read(text)
    centre.deliver(lines)
    return centre, lines


def close(centre: Centre, window: datetime.date, now: str) -> CloseSummary:
    return close_window(centre.directory, window, passphrase=PASSPHRASE, now=seconds_of(now))


def windows_of(centre: Centre, lines: list[Line]) -> list[tuple[str, str]]:
    """(status, window) of each line."""
    found, status = centre.decisions('"window"'), centre.decisions()
    return [(status[line.place], found[line.place][0].isoformat()) for line in lines]


# --- the cut-off ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "window"),
    [
        ("03-03T03:59:59", "2026-03-02"),
        ("03-03T04:00:00", "2026-03-03"),
        ("03-03T04:00:01", "2026-03-03"),
    ],
)
def test_the_cut_off_second_belongs_to_the_next_window(tmp_path: Path, received: str, window: str) -> None:
    centre, lines = centre_with(tmp_path / "centre", f"retail received={received} ACCEPTED")
    centre.run()
    assert windows_of(centre, lines) == [("ACCEPTED", window)]


def test_a_row_settles_in_the_later_of_its_day_and_its_receipt(tmp_path: Path) -> None:
    centre, lines = centre_with(
        tmp_path / "centre",
        """
        retail  received=03-02T20:00:00                                     ACCEPTED
retail  received=03-05T12:00:00                                             ACCEPTED
retail  date=2026-03-03 time=02:59:59 received=03-03T03:30:00               ACCEPTED
retail  date=2026-03-03 time=03:00:00 received=03-03T03:30:00               ACCEPTED
retail  date=2026-03-03 time=03:35:01 received=03-03T03:30:00               TIME_IN_FUTURE
retail  date=2026-02-30 received=03-02T20:00:00                             TIME_IMPOSSIBLE
        """,
    )
    centre.run("2026-03-06T05:00:00")
    assert windows_of(centre, lines) == [
        ("ACCEPTED", "2026-03-02"),
        ("ACCEPTED", "2026-03-05"),
        ("ACCEPTED", "2026-03-02"),
        ("ACCEPTED", "2026-03-03"),
        ("TIME_IN_FUTURE", "2026-03-02"),
        ("TIME_IMPOSSIBLE", "2026-03-02"),
    ]


def test_late_records_are_addenda_to_a_closed_day(tmp_path: Path) -> None:
    """A record of a closed day settles in the open window; what was closed stays as it was."""
    centre, _ = centre_with(tmp_path / "centre", "retail ACCEPTED\nretail received=03-03T12:00:00 ACCEPTED")
    close(centre, WINDOW, "2026-03-03T05:00:00")
    before = entries(centre.directory, "close")[0].body
    centre.run()
    assert entries(centre.directory, "close")[0].body == before
    posted = {posting[0] for posting in entries(centre.directory, "batch")[1].body["postings"]}
    assert {date_of(day).isoformat() for day in posted} == {"2026-03-03"}
    assert verify(centre.directory, PASSPHRASE) == []


def test_after_the_cut_off_only_the_newcomer_is_held(tmp_path: Path) -> None:
    centre, lines = centre_with(
        tmp_path / "centre",
        "retail ACCEPTED\n  retail balance_before=60000 received=03-03T04:00:00 CONFLICT",
    )
    centre.run_apart(lines)
    assert windows_of(centre, lines) == [("ACCEPTED", "2026-03-02"), ("CONFLICT", "2026-03-03")]
    assert centre.query("SELECT COUNT(*) FROM transactions WHERE event = 1") == [(0,)]


# --- a second run in the same window ------------------------------------------------------


def decided(centre: Centre, lines: list[Line]) -> list[str]:
    """What became of each line, readable."""
    status, columns = centre.decisions(), centre.decisions(DECIDED)
    return [f"{line.text}: {status[line.place]} {columns[line.place]}" for line in lines]


def run_twice_and_once(folder: Path, text: str) -> tuple[Centre, Centre, list[Line]]:
    """The same deliveries in two runs of one window, and in one."""
    twice, lines = centre_with(folder / "twice", text)
    once = Centre(copy_of(twice.directory, folder / "once"), twice.masters)
    once.run(SECOND_RUN)
    twice.run(FIRST_RUN)
    receipts = ledger_of(twice.directory).receipts
    twice.run(SECOND_RUN)
    assert len(entries(twice.directory, "batch")) == 2
    assert receipts.items() <= ledger_of(twice.directory).receipts.items(), "a receipt that was given stands"
    return twice, once, lines


def assert_alike(twice: Centre, once: Centre, lines: list[Line]) -> None:
    found = once.decisions()
    assert [f"{line.text}: {found[line.place]}" for line in lines] == [f"{o.text}: {o.expected}" for o in lines]
    assert decided(twice, lines) == decided(once, lines)
    assert ledger_of(twice.directory).money == ledger_of(once.directory).money
    assert verify(twice.directory, PASSPHRASE) == []


def test_two_runs_in_a_window_end_like_one(tmp_path: Path) -> None:
    assert_alike(*run_twice_and_once(tmp_path, "".join(GROUPS.values())))


@pytest.mark.parametrize("name", GROUPS)
def test_each_group_ends_like_one_run_by_itself(tmp_path: Path, name: str) -> None:
    assert_alike(*run_twice_and_once(tmp_path, GROUPS[name]))


def test_a_reversal_is_linked_and_its_money_moves(tmp_path: Path) -> None:
    centre, (first, _) = centre_with(tmp_path / "centre", GROUPS["purchase"])
    centre.run(FIRST_RUN)
    before = ledger_of(centre.directory)
    centre.run(SECOND_RUN)
    after = ledger_of(centre.directory)
    events = centre.query(
        "SELECT sign, event, s.name FROM retail r JOIN statuses s ON r.status = s.status JOIN files f "
        f"ON f.file_no = txn_id >> 32 WHERE file = '{first.place[0]}' ORDER BY event, sign"
    )
    assert events == [(1, 0, "ACCEPTED"), (-1, 1, "ACCEPTED"), (1, 1, "CONFLICT")]
    day = (WINDOW - datetime.date(1970, 1, 1)).days
    assert balances(before) == {(day, "stored_value", 10, 0): -200, (day, "merchant_payable", 501, 0): 200}
    assert balances(after) == {(day, "stored_value", 10, 0): -400, (day, "suspense_payable", 501, 0): 400}


def lose(cache: Path) -> None:
    """All of it."""
    shutil.rmtree(cache, ignore_errors=True)


def leave_as_an_older_engine(cache: Path) -> None:
    """The mark of a form that this engine does not read."""
    if cache.exists():
        (cache / "batch").write_text((cache / "batch").read_text().split()[0])
        for path in cache.glob("states.*"):
            path.rename(cache / "states.arrow")


@pytest.mark.parametrize("spoil", [lose, leave_as_an_older_engine])
def test_caches_lost_between_runs_change_nothing_that_is_sealed(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Losing them costs a rebuild, never a decision or an event."""
    kept, _ = centre_with(tmp_path / "kept", "".join(GROUPS.values()))
    third = "retail received=03-02T23:00:00 terminal_counter=+7 time=15:00:00 card_counter=+7 ACCEPTED"
    kept.deliver(Cases(kept).read(third))
    lost = Centre(copy_of(kept.directory, tmp_path / "lost"), kept.masters)
    for clock in (FIRST_RUN, SECOND_RUN, "2026-03-02T23:30:00"):
        spoil(lost.directory / "work" / "cache")
        kept.run(clock)
        lost.run(clock)
    sealed = [[entry.body for entry in entries(centre.directory, "batch")] for centre in (kept, lost)]
    assert len(sealed[0]) == 3
    for ours, theirs in zip(*sealed, strict=True):
        assert ours["segments"] == theirs["segments"]
        assert ours["postings"] == theirs["postings"]


def balances(ledger: Ledger) -> dict[tuple[Any, ...], int]:
    return {account: fen for account, fen in ledger.balances.items() if fen}


# --- closing ------------------------------------------------------------------------------

TWO_WINDOWS = """
retail                                                  ACCEPTED
transit card=student amount=100                         ACCEPTED
medical                                                 ACCEPTED
retail tac=wrong                                        TAC_FAILED
load                                                    ACCEPTED
retail received=03-03T12:00:00 date=2026-03-03          ACCEPTED
"""


def test_close_is_refused_before_the_cut_off_twice_and_over_an_open_window(tmp_path: Path) -> None:
    centre, _ = centre_with(tmp_path / "centre", TWO_WINDOWS)
    with pytest.raises(RefusedError, match=r"takes receipts until 2026-03-03T04:00:00"):
        close(centre, WINDOW, "2026-03-03T03:59:59")
    with pytest.raises(RefusedError, match="window 2026-03-02 is still open"):
        close(centre, WINDOW + datetime.timedelta(1), "2026-03-04T05:00:00")
    assert entries(centre.directory, "close") == []
    close(centre, WINDOW, CUT_OFF.replace("03-03", "03-04"))
    with pytest.raises(RefusedError, match="is closed already"):
        close(centre, WINDOW, "2026-03-05T05:00:00")
    assert len(entries(centre.directory, "close")) == 1
    assert verify(centre.directory, PASSPHRASE) == []


def test_closing_at_the_cut_off_second_is_allowed(tmp_path: Path) -> None:
    centre, _ = centre_with(tmp_path / "centre", "retail ACCEPTED")
    assert close(centre, WINDOW, CUT_OFF).run.rows == 1


def test_closing_later_gives_the_same_positions(tmp_path: Path) -> None:
    on_time, _ = centre_with(tmp_path / "on_time", TWO_WINDOWS)
    late = Centre(copy_of(on_time.directory, tmp_path / "late"), on_time.masters)
    late.run("2026-03-09T05:00:00")
    bodies = []
    for centre, now in ((on_time, CUT_OFF), (late, "2026-03-12T05:00:00")):
        close(centre, WINDOW, now)
        close(centre, WINDOW + datetime.timedelta(1), "2026-03-12T06:00:00")
        bodies.append([entry.body for entry in entries(centre.directory, "close")])
        assert verify(centre.directory, PASSPHRASE) == []
    assert bodies[0] == bodies[1]
    assert sum(position["fen"] for position in bodies[0][0]["positions"]) == 0
    assert {payment["source"] for payment in bodies[0][0]["payments"]} > {0}, "funds are not set off"


def test_a_delivery_dated_into_a_closed_window_arrives_now(tmp_path: Path) -> None:
    centre, _ = centre_with(tmp_path / "centre", "retail ACCEPTED")
    close(centre, WINDOW, "2026-03-03T05:00:00")
    late = [Cases(centre).line("retail", card_counter=11, terminal_counter=101, time="12:30:00")]
    centre.deliver(late)
    centre.run("2026-03-03T06:00:00")
    assert windows_of(centre, late) == [("ACCEPTED", "2026-03-03")]
    assert verify(centre.directory, PASSPHRASE) == []
