"""kill -9 at any moment, and the next run completes: nothing lost, nothing doubled.

Ten moments by default; ``KILL_MOMENTS`` and ``KILL_SEED`` for more and for others (marker ``campaign``).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from clearing.verify import verify
from evidence.centres import PASSPHRASE, WINDOW_ENDS, Ledger, clear, copy_of, entries, ledger_of
from evidence.handmade import Cases, Centre
from evidence.killed import CALLS, Moment, count_calls, draw, run_until

SEED = int(os.environ.get("KILL_SEED", "20260302"))
BY_CALL, BY_CLOCK = 8, 2
CAMPAIGN = int(os.environ.get("KILL_MOMENTS", "0"))
OFF = pytest.mark.skip(reason="campaign: set KILL_MOMENTS, and KILL_SEED for other moments")
TRIVIAL_MOMENTS = (
    Moment("fsync", 1, False),
    Moment("unlink", 1, True),
    Moment("batch", 1, False),
    Moment("batch", 1, True),
)


@pytest.fixture(scope="module")
def calls(heavy_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often each call happens in an undisturbed clearing of the heavy day."""
    counted = count_calls(copy_of(heavy_day, tmp_path_factory.mktemp("counted") / "centre"), WINDOW_ENDS)
    assert set(CALLS) <= counted.keys()
    return counted


def killed(centre: Path, moment: Moment) -> None:
    process = run_until(centre, WINDOW_ENDS, moment)
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"the run did not reach {moment}"


def assert_completed(centre: Path, undisturbed: Ledger, what: str) -> None:
    """Run again to the end: the ledger, the answers and the inbox are those of an undisturbed run."""
    clear(centre)
    found = ledger_of(centre)
    for name in ("roots", "balances", "receipts", "feedback", "statuses"):
        assert getattr(found, name) == getattr(undisturbed, name), f"{name} after a kill {what}"
    assert verify(centre, PASSPHRASE) == [], what
    received = [e.body["file"] for e in entries(centre, "intake") if e.body["outcome"] == "received"]
    cleared = [file["file_no"] for batch in entries(centre, "batch") for file in batch.body["files"]]
    assert len(set(received)) == len(received) == len(set(cleared)) == len(cleared), what


@pytest.mark.parametrize("number", range(BY_CALL))
def test_a_run_killed_at_a_call_is_completed(
    heavy_day: Path, undisturbed: Ledger, calls: Counter[str], tmp_path: Path, number: int
) -> None:
    moment = draw(random.Random(SEED), calls, BY_CALL)[number]
    centre = copy_of(heavy_day, tmp_path / "centre")
    killed(centre, moment)
    assert_completed(centre, undisturbed, f"{moment} (seed {SEED})")


@pytest.mark.parametrize("number", range(BY_CLOCK))
def test_a_run_killed_by_the_clock_is_completed(
    heavy_day: Path, undisturbed: Ledger, tmp_path: Path, number: int
) -> None:
    seconds = random.Random(SEED + number).uniform(0.1, 2.0)
    centre = copy_of(heavy_day, tmp_path / "centre")
    process = run_until(centre, WINDOW_ENDS, None)
    time.sleep(seconds)
    process.kill()
    process.join()
    assert_completed(centre, undisturbed, f"{seconds:.3f} s after the start (seed {SEED})")


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(CAMPAIGN) if CAMPAIGN else [pytest.param(0, marks=OFF)])
def test_many_kills(heavy_day: Path, undisturbed: Ledger, calls: Counter[str], tmp_path: Path, number: int) -> None:
    moment = draw(random.Random(SEED), calls, CAMPAIGN)[number]
    centre = copy_of(heavy_day, tmp_path / "centre")
    killed(centre, moment)
    assert_completed(centre, undisturbed, f"{moment} (seed {SEED})")


def test_a_run_killed_twice_is_completed(
    heavy_day: Path, undisturbed: Ledger, calls: Counter[str], tmp_path: Path
) -> None:
    centre = copy_of(heavy_day, tmp_path / "centre")
    killed(centre, Moment("intake", calls["intake"] // 2, True))
    killed(centre, Moment("batch", 1, True))
    assert_completed(centre, undisturbed, "twice")


@pytest.mark.parametrize("moment", TRIVIAL_MOMENTS, ids=str)
def test_one_trivial_row_survives(tmp_path: Path, moment: Moment) -> None:
    centre = Centre.create(tmp_path / "centre")
    centre.deliver([Cases(centre).line("retail")])
    other = copy_of(centre.directory, tmp_path / "other")
    centre.run()
    killed(other, moment)
    assert_completed(other, ledger_of(centre.directory), str(moment))


def test_a_projection_without_its_schema(tmp_path: Path) -> None:
    """DuckDB creates the file first and the tables later; a kill in between leaves the file."""
    centre = Centre.create(tmp_path / "centre")
    lines = [Cases(centre).line("retail")]
    centre.deliver(lines)
    duckdb.connect(str(centre.directory / "work" / "ledger.duckdb")).close()
    centre.run()
    assert centre.decisions() == {lines[0].place: "ACCEPTED"}


@pytest.mark.parametrize("after", [Moment("intake", 1, True), Moment("unlink", 1, True)], ids=str)
def test_a_kill_between_archive_and_inbox_leaves_nothing_behind(tmp_path: Path, after: Moment) -> None:
    """The archive holds the delivery: the next run removes the inbox copy and tells the sender nothing twice."""
    centre = Centre.create(tmp_path / "centre")
    centre.deliver([Cases(centre).line("retail")])
    killed(centre.directory, after)
    summary = centre.run()
    assert [file["outcome"] for file in summary.received] == []
    assert list((centre.directory / "inbox").iterdir()) == []
