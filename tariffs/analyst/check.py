"""``tariff check`` and ``tariff test``: does a file load, compile on every day, and give the answers it promises."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from tariffs.analyst.lacks import lacks_of, remedy_for
from tariffs.analyst.rows import assemble
from tariffs.analyst.services import SERVICES
from tariffs.errors import TariffError, TariffFileError
from tariffs.inline_tests import InlineTestFailure, columns_of_test, run_inline_tests
from tariffs.tariff import Tariff, load_tariff
from tariffs.trace import step_label
from tariffs.transit.accumulators import Cap, TransferWindow
from tariffs.transit.columns import ClassName
from tariffs.transit.discounts import Transfer


@dataclass(frozen=True)
class Checked:
    """What became of one file: a tariff, or the refusal."""

    file: Path
    tariff: Tariff | None
    error: TariffError | None
    load_ms: int
    """Time to read the file and its tables and compile every dated segment, rounded up."""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Card classes a reduction does not name: what they pay is meant, or a class was forgotten."""

    step: str
    classes: tuple[str, ...]


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
    """Load a file, which compiles every segment, and its examples; a refusal is part of the answer, never raised."""
    started = time.perf_counter_ns()
    try:
        tariff = load_tariff(file)
        took = time.perf_counter_ns() - started
        work_tests(tariff)
    except TariffError as error:
        return Checked(file, None, error, 0)
    return Checked(file, tariff, None, -(-took // 1_000_000), left_out(tariff))


def run_file_tests(file: Path) -> Tested:
    """Run the inline tests of a file; a refusal is part of the answer, never raised."""
    try:
        tariff = load_tariff(file)
        failures = work_tests(tariff)
    except TariffError as error:
        return Tested(file, 0, 0, (), error)
    answers = sum(len(row) for test in tariff.tests for row in test.expect)
    return Tested(file, len(tariff.tests), answers, tuple(failures), None)


def work_tests(tariff: Tariff) -> list[InlineTestFailure]:
    """The answers of the inline tests that differ; TariffFileError for a row that lacks what a step reads of it.

    A row that is said to have no price may lack what it likes.
    """
    for index, test in enumerate(tariff.tests):
        given = columns_of_test(tariff, index)
        owner = SERVICES[tariff.kind].owner
        given.setdefault(owner, np.ones(len(test.rows), np.int64))
        priced = np.array([expected.get("priced", True) is not False for expected in test.expect])
        for lack in lacks_of(tariff, assemble(tariff, len(test.rows), given, test.date)):
            for row in lack.rows[priced[lack.rows]].tolist():
                at = f"tests[{index}].rows[{row}].{lack.column}"
                raise TariffFileError(tariff.file, at, None, remedy_for(tariff, lack))
    return run_inline_tests(tariff)


def left_out(tariff: Tariff) -> tuple[LeftOut, ...]:
    """Reductions of the last segment that name classes, with the classes they do not name."""
    found = []
    for name, step in tariff.segments[-1].steps:
        named: Collection[str] | None = None
        if isinstance(step, Transfer | TransferWindow):
            named = None if step.classes == "all" else step.classes
        elif isinstance(step, Cap) and step.limits is not None:
            named = None if "all" in step.limits else step.limits
        if named is not None and (others := [each for each in get_args(ClassName) if each not in named]):
            found.append(LeftOut(step_label(name, step), tuple(others)))
    return tuple(found)
