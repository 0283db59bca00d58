"""Closing while files arrive: every process claims the centre by its lock, and no fen is lost or counted twice."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from clearing.calendar import day_number, seconds_of, windows
from clearing.config import load_settings
from clearing.engine import receive_centre
from clearing.settlement import close_window
from clearing.verify import verify
from evidence.centres import PASSPHRASE, entries
from evidence.handmade import Cases, Centre, Line

FIRST = datetime.date(2024, 1, 2)
"""A thousand windows from here on lie in years whose holidays are known."""

WINDOWS, PROCESSES = 2, 4
CAMPAIGN_WINDOWS, CAMPAIGN_PROCESSES = int(os.environ.get("CAMPAIGN_CLOSINGS", "0")), 16


def _intake(directory: Path, rounds: Connection) -> None:
    """One intake process: told a clock, it waits for the lock like every command, and says what went wrong."""
    while (now := rounds.recv()) is not None:
        try:
            receive_centre(directory, passphrase=PASSPHRASE, now=now, wait=600)
            rounds.send("")
        except Exception:
            rounds.send(traceback.format_exc())


@contextmanager
def intakes(directory: Path, processes: int) -> Iterator[list[Connection]]:
    """Processes that take in files round after round; every one of them is an operating system's own."""
    # Children of a clean server: a fork of this process would inherit the locks of its threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["clearing.engine"])
    started, ends = [], []
    for _ in range(processes):
        here, there = context.Pipe()
        started.append(context.Process(target=_intake, args=(directory, there)))
        started[-1].start()
        there.close()
        ends.append(here)
    try:
        yield ends
        for end in ends:
            end.send(None)
    finally:
        for process in started:
            process.join(60)
            process.terminate()
    assert {process.exitcode for process in started} == {0}


def _deliver(centre: Centre, number: int) -> list[Line]:
    """Two purchases that arrive on a day, in two files: one of that day, one of the day before."""
    date, cases = FIRST + datetime.timedelta(number), Cases(centre)
    later = f"+{number}"
    lines = [
        cases.line(
            "retail", amount=100 + number + part, date=date - datetime.timedelta(part),
            received=f"{date}T{12 + part}:00:00", card_counter=later, terminal_counter=later, file=str(part),
        )
        for part in range(2)
    ]  # fmt: skip
    centre.deliver(lines)
    return lines


def close_under_load(folder: Path, closings: int, processes: int) -> None:
    """Close window after window, each while the processes take in the files of that day and the next."""
    centre = Centre.create(folder / "centre")
    settings = centre.directory / "centre.yaml"
    settings.write_text(settings.read_text("utf-8").replace("from: 2026-01-01", "from: 2020-01-01"), "utf-8")
    lines = _deliver(centre, 0)
    with intakes(centre.directory, processes) as ends:
        for number in range(closings):
            lines += _deliver(centre, number + 1)
            date = FIRST + datetime.timedelta(number)
            now = seconds_of(f"{date + datetime.timedelta(1)}T05:00:00")
            for worker, end in enumerate(ends):
                # Some run ahead of the close's clock: what they take in belongs to the next window.
                end.send(now + (8 * 3600 if worker % 2 else 0))
            close_window(centre.directory, date, passphrase=PASSPHRASE, now=now, wait=600)
            assert [end.recv() for end in ends] == [""] * processes
    _refuse_moved_money(centre, [line.values["amount"] for line in lines], closings)
    _refuse_wrong_windows(centre, lines, FIRST + datetime.timedelta(closings))
    assert verify(centre.directory, PASSPHRASE) == []


def _refuse_moved_money(centre: Centre, amounts: list[int], closings: int) -> None:
    """Positions, fees and payments of every window are of its own two purchases, and the balances of all of them."""
    closes = entries(centre.directory, "close")
    assert [entry.body["window"] - day_number(FIRST) for entry in closes] == list(range(closings))
    fees = 0
    for number, body in enumerate(entry.body for entry in closes):
        expected = sum(amounts[2 * number : 2 * number + 2])
        net = {row["participant"]: row["fen"] for row in body["positions"] if row["source"] == 0}
        assert sum(row["fen"] for row in body["positions"]) == 0
        charged = sum(row["fen"] for row in body["fees"] if row["merchant"] == 501)
        own = sum(row["fen"] for row in body["fees"] if row["participant"] == 10)
        assert net[10] - own == -expected, "the window's own money, no more, no less"
        assert net[501] == expected - charged
        fees += charged
    paid = sum(row["fen"] for e in closes for row in e.body["payments"] if row["participant"] == 501)
    total = sum(amounts[: 2 * closings])
    assert paid + fees == total
    balances = dict(
        centre.query(
            f"""SELECT kind, SUM(fen)::BIGINT FROM balances WHERE "window" < '{FIRST + datetime.timedelta(closings)}'
                AND kind IN ('stored_value', 'merchant_payable') GROUP BY ALL"""
        )
    )
    assert balances == {"stored_value": -total, "merchant_payable": total - fees}


def _refuse_wrong_windows(centre: Centre, lines: list[Line], until: datetime.date) -> None:
    """Every record stands once, in the window that its two times alone say, whoever took it in beside which close."""
    calendar = load_settings(centre.directory).calendar
    times = {line.place: (_time_of(line), seconds_of(line.received)) for line in lines}
    pure = windows(*np.array(list(times.values()), np.int64).T, calendar)
    expected = dict(zip(times, pure.tolist(), strict=True))
    rows = centre.query(
        """SELECT file, txn_id & 4294967295, t."window", epoch(t.txn_time)::BIGINT, epoch(f.received_at)::BIGINT
           FROM transactions t JOIN files f ON f.file_no = txn_id >> 32"""
    )
    found = {(file, row): day_number(window) for file, row, window, *_ in rows}
    assert len(found) == len(rows), "no record twice"
    assert found.keys() >= {place for place, window in expected.items() if window < day_number(until)}
    for file, row, window, *told in rows:
        assert (day_number(window), tuple(told)) == (expected[file, row], times[file, row])


def _time_of(line: Line) -> int:
    """Seconds of the transaction, from what its card signed."""
    day, time = f"{line.values['date4']:08x}", f"{line.values['time3']:06x}"
    return seconds_of(f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}")


def test_closing_while_files_arrive_moves_no_fen(tmp_path: Path) -> None:
    close_under_load(tmp_path, WINDOWS, PROCESSES)


@pytest.mark.campaign
@pytest.mark.skipif(not CAMPAIGN_WINDOWS, reason="campaign: set CAMPAIGN_CLOSINGS")
@pytest.mark.timeout(0)
def test_a_thousand_closings_with_sixteen_intakes(tmp_path: Path) -> None:
    close_under_load(tmp_path, CAMPAIGN_WINDOWS, CAMPAIGN_PROCESSES)
