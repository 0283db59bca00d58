"""The whole story on a simulated city day, compared with the simulator's truth."""

from __future__ import annotations

import datetime
import json
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from clearing import calendar
from clearing.engine import run_centre
from clearing.errors import RefusedError
from clearing.initialise import initialise_centre, people_folder
from clearing.metrics import write_metrics
from clearing.payments.approve import approve
from clearing.report import write_daily_report, write_statements
from clearing.run_summary import Progress, RunSummary
from clearing.settlement import Proposer, close_window
from clearing.simulate import simulate_day
from clearing.status import ClearingStatus, Disposition
from clearing.verify import verify
from clearing.warm_up import warm_up

DEMO_DATE: Final = datetime.date(2026, 3, 2)
DEMO_MARK: Final = "demo"
"""File in the truth folder that says a centre is a demo's and may be replaced by the next one."""

_AFTER_CUT_OFF: Final = 3600
"""Seconds after a window's cut-off at which the demo's declared clock runs the centre."""


@dataclass
class DemoSummary:
    """What the demo did, engine and truth side by side; JSON-able."""

    directory: str
    passphrase_file: str
    transactions: int
    seed: int
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    clearing_stages: dict[str, float] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    all_equal: bool = False
    content_roots: dict[str, str] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)


def run_demo(directory: Path, *, transactions: int, seed: int, progress: Progress | None = None) -> DemoSummary:
    """Make a centre, simulate a day with default faults, clear and close both its windows, report, verify.

    Raises:
        RefusedError: the folder holds something that is not an earlier demo.
    """
    _make_room(directory)
    truth = directory.with_name(directory.name + ".truth")
    passphrase = secrets.token_urlsafe(24)
    summary = DemoSummary(str(directory), str(truth / "passphrase"), transactions, seed)
    _timed(summary, "compile", warm_up)
    _timed(summary, "init", lambda: initialise_centre(directory, simulated=True, passphrase=passphrase))
    truth.mkdir(exist_ok=True)
    (truth / DEMO_MARK).touch()
    (truth / "passphrase").write_text(passphrase)
    _timed(
        summary,
        "simulate",
        lambda: simulate_day(
            directory, date=DEMO_DATE, transactions=transactions, seed=seed, faults="default", passphrase=passphrase
        ),
    )
    runs: list[RunSummary] = []
    for date in (DEMO_DATE, DEMO_DATE + datetime.timedelta(days=1)):
        _clear_and_close(summary, directory, date, passphrase, runs, progress)
    _timed(summary, "verify", lambda: summary.findings.extend(f.as_json() for f in verify(directory, passphrase)))
    _compare(summary, truth / DEMO_DATE.isoformat() / "truth.json", runs)
    return summary


def _make_room(directory: Path) -> None:
    """Replace an earlier demo; never anything else."""
    truth = directory.with_name(directory.name + ".truth")
    if (truth / DEMO_MARK).exists():
        backup = directory.with_name(directory.name + ".key-backup")
        for folder in (directory, backup, people_folder(directory), truth):
            shutil.rmtree(folder, ignore_errors=True)
    if directory.exists() and any(directory.iterdir()):
        raise RefusedError("the folder is not empty and not an earlier demo", where=directory, remedy="give --dir")


def _timed(summary: DemoSummary, stage: str, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    summary.seconds[stage] = round(summary.seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def _clear_and_close(
    summary: DemoSummary,
    directory: Path,
    date: datetime.date,
    passphrase: str,
    runs: list[RunSummary],
    progress: Progress | None,
) -> None:
    """Move the declared clock past the cut-off of ``date``, clear what arrived, close, report."""
    settings_cut_off = calendar.day_number(date) + 1
    now = settings_cut_off * calendar.SECONDS_PER_DAY + 4 * 3600 + _AFTER_CUT_OFF
    _timed(
        summary,
        "clear",
        lambda: runs.append(run_centre(directory, passphrase=passphrase, now=now, progress=progress)),
    )

    def close() -> None:
        proposer = Proposer("reconciler", people_folder(directory) / "reconciler.key")
        closed = close_window(directory, date, passphrase=passphrase, now=now, proposer=proposer)
        summary.windows.append(
            {
                "window": closed.window,
                "fees_fen": sum(row["fen"] for row in closed.fees),
                "pay_fen": sum(row["fen"] for row in closed.payments if row["direction"] == "pay"),
                "collect_fen": sum(row["fen"] for row in closed.payments if row["direction"] == "collect"),
                "claims_fen": sum(row["fen"] for row in closed.claims),
                "payments": len(closed.payments),
            }
        )

    _timed(summary, "close", close)
    _timed(summary, "approve", lambda: _order(summary, directory, date, passphrase, now))

    def report() -> None:
        paths = [*write_daily_report(directory, date, language="both"), *write_statements(directory, date)]
        summary.reports += [str(path.relative_to(directory)) for path in paths if path.suffix == ".html"]
        write_metrics(directory, runs[-1])

    _timed(summary, "report", report)


def _order(summary: DemoSummary, directory: Path, date: datetime.date, passphrase: str, now: int) -> None:
    """The demo's two approvers sign the payments of a window; the second signature leaves the files for the bank."""
    for person in ("approver.a", "approver.b"):
        key = people_folder(directory) / f"{person}.key"
        ordered = approve(directory, (), person=person, key=key, passphrase=passphrase, window=date, now=now)
    summary.orders.append(
        {"message": ordered.message, "payments": len(ordered.ordered), "fen": ordered.fen, "files": ordered.files}
    )


def _compare(summary: DemoSummary, truth_file: Path, runs: list[RunSummary]) -> None:
    truth = json.loads(truth_file.read_text())
    rows: Counter[str] = Counter()
    fen: Counter[str] = Counter()
    disposition: dict[str, str] = {}
    for run in runs:
        summary.rows += sum(result[2] or 0 for result in run.results)
        summary.content_roots |= run.content_roots
        for stage, seconds in run.seconds.items():
            summary.clearing_stages[stage] = round(summary.clearing_stages.get(stage, 0.0) + seconds, 3)
        for status, ended, count, amount in run.results:
            name = ClearingStatus(status or 0).name
            rows[name] += count or 0
            fen[name] += amount or 0
            disposition[name] = Disposition(ended or 0).name.lower()
    for name in sorted(rows.keys() | truth["statuses"].keys(), key=lambda each: ClearingStatus[each]):
        expected = truth["statuses"].get(name, {"rows": 0, "fen": 0})
        summary.statuses.append(
            {
                "status": name,
                "disposition": disposition.get(name, ""),
                "engine_rows": rows[name],
                "truth_rows": expected["rows"],
                "engine_fen": fen[name],
                "truth_fen": expected["fen"],
                "equal": rows[name] == expected["rows"] and fen[name] == expected["fen"],
            }
        )
    outcomes = Counter(each["outcome"] for run in runs for each in run.received)
    summary.files = dict(sorted(outcomes.items()))
    summary.all_equal = (
        all(row["equal"] for row in summary.statuses)
        and outcomes == Counter(truth["files"].values())
        and not summary.findings
    )
