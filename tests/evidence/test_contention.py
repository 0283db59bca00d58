"""Closing while files arrive: every process claims the centre by its lock, and no fen is lost or counted twice."""

from __future__ import annotations

import datetime
import multiprocessing
import os
from pathlib import Path

import pytest

from clearing.calendar import day_number, seconds_of
from clearing.engine import receive_centre
from clearing.settlement import close_window
from clearing.verify import verify
from evidence.centres import PASSPHRASE, entries
from evidence.handmade import Cases, Centre

FIRST = datetime.date(2024, 1, 2)
"""A thousand windows from here on lie in years whose holidays are known."""

WINDOWS, PROCESSES = 2, 4
CAMPAIGN_WINDOWS, CAMPAIGN_PROCESSES = int(os.environ.get("CAMPAIGN_CLOSINGS", "0")), 16


def _receive(directory: Path, now: int) -> None:
    """One intake process: it waits for the lock like every command."""
    receive_centre(directory, passphrase=PASSPHRASE, now=now, wait=600)


def _deliver(centre: Centre, number: int) -> int:
    """Two purchases of a day, in two files; returns their fen."""
    date, fen = FIRST + datetime.timedelta(number), 0
    cases = Cases(centre)
    for part in range(2):
        later = f"+{number}"
        line = cases.line(
            "retail", amount=100 + number + part, date=date, received=f"{date}T{12 + part}:00:00",
            card_counter=later, terminal_counter=later, file=str(part),
        )  # fmt: skip
        centre.deliver([line])
        fen += line.values["amount"]
    return fen


def close_under_load(folder: Path, windows: int, processes: int) -> None:
    """Close window after window, each while the processes take in the files of that day and the next."""
    centre = Centre.create(folder / "centre")
    settings = centre.directory / "centre.yaml"
    settings.write_text(settings.read_text("utf-8").replace("from: 2026-01-01", "from: 2020-01-01"), "utf-8")
    # Children of a clean server: a fork of this process would inherit the locks of its threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["clearing.engine"])
    expected = {number: _deliver(centre, number) for number in range(2)}
    for number in range(windows):
        expected[number + 1] = _deliver(centre, number + 1) if number else expected[1]
        date = FIRST + datetime.timedelta(number)
        now = seconds_of(f"{date + datetime.timedelta(1)}T05:00:00")
        # Some run ahead of the close's clock: what they take in belongs to the next window.
        clocks = [now + (8 * 3600 if worker % 2 else 0) for worker in range(processes)]
        workers = [context.Process(target=_receive, args=(centre.directory, clock)) for clock in clocks]
        for worker in workers:
            worker.start()
        close_window(centre.directory, date, passphrase=PASSPHRASE, now=now, wait=600)
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    for entry in entries(centre.directory, "close"):
        number, body = entry.body["window"] - day_number(FIRST), entry.body
        assert sum(row["fen"] for row in body["positions"]) == 0
        issued = next(row["fen"] for row in body["positions"] if row["participant"] == 10)
        fees = sum(row["fen"] for row in body["fees"] if row["participant"] == 10)
        assert issued - fees == -expected[number], "the window's own money, no more, no less"
    paid = [row for entry in entries(centre.directory, "close") for row in entry.body["payments"]]
    shop = sum(row["fen"] for row in paid if row["participant"] == 501)
    fees = sum(r["fen"] for e in entries(centre.directory, "close") for r in e.body["fees"] if r["merchant"] == 501)
    assert shop + fees == sum(expected[number] for number in range(windows))
    assert verify(centre.directory, PASSPHRASE) == []


def test_closing_while_files_arrive_moves_no_fen(tmp_path: Path) -> None:
    close_under_load(tmp_path, WINDOWS, PROCESSES)


@pytest.mark.campaign
@pytest.mark.skipif(not CAMPAIGN_WINDOWS, reason="campaign: set CAMPAIGN_CLOSINGS")
@pytest.mark.timeout(0)
def test_a_thousand_closings_with_sixteen_intakes(tmp_path: Path) -> None:
    close_under_load(tmp_path, CAMPAIGN_WINDOWS, CAMPAIGN_PROCESSES)
