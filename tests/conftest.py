"""Fixtures every test may use; sets the kernel cache before any test module imports a kernel."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()


def pytest_collection_finish() -> None:
    """Modules and collected tests live to the end: the collector need not walk them again and again.

    Nor, every few hundred objects, the many thousand rows that a test holds: it took a fifth of an audit.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_sessionfinish() -> None:
    """Libraries that count their objects at the end want to see them go."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data nobody on this project wrote: `CLEARING_SHARED_DATA`, or `../shared/data` of the repository."""
    named = os.environ.get("CLEARING_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} does not exist and CLEARING_SHARED_DATA names no other folder")
    return folder


@pytest.fixture
def answered(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Call it with the number of external answers a test has compared: the summary adds them up."""
    return lambda answers: record_property("answers", answers)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests against data that nobody here wrote ran, with how many answers a file; skipped ones too."""
    counts = {
        outcome: sum("external" in report.keywords for report in terminalreporter.stats.get(outcome, ()))
        for outcome in ("passed", "failed", "skipped")
    }
    answers: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        answers[report.location[0]] += sum(int(v) for name, v in report.user_properties if name == "answers")
    listed = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    terminalreporter.write_line(f"external tests (../shared/data): {listed}; {answers.total():,} answers compared")
    for file, compared in sorted((+answers).items()):
        terminalreporter.write_line(f"  {compared:>7,} {file}")
