"""``tariff check`` and ``tariff test``: does a file load, compile on every day, and give the answers it promises."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tariffs.errors import TariffError
from tariffs.inline_tests import InlineTestFailure, run_inline_tests
from tariffs.tariff import Tariff, load_tariff


@dataclass(frozen=True)
class Checked:
    """What became of one file: a tariff, or the refusal."""

    file: Path
    tariff: Tariff | None
    error: TariffError | None
    load_ms: int
    """Time to read the file and its tables and compile every dated segment, rounded up."""


@dataclass(frozen=True)
class Tested:
    """Inline tests of one file."""

    file: Path
    tests: int
    answers: int
    """Expected values in all tests."""
    failures: tuple[InlineTestFailure, ...]
    error: TariffError | None


def check_file(file: Path) -> Checked:
    """Load a file, which compiles every segment; a refusal is part of the answer, never raised."""
    started = time.perf_counter_ns()
    try:
        tariff = load_tariff(file)
    except TariffError as error:
        return Checked(file, None, error, 0)
    return Checked(file, tariff, None, -((started - time.perf_counter_ns()) // 1_000_000))


def run_file_tests(file: Path) -> Tested:
    """Run the inline tests of a file; a refusal is part of the answer, never raised."""
    try:
        tariff = load_tariff(file)
        failures = run_inline_tests(tariff)
    except TariffError as error:
        return Tested(file, 0, 0, (), error)
    answers = sum(len(row) for test in tariff.tests for row in test.expect)
    return Tested(file, len(tariff.tests), answers, tuple(failures), None)
