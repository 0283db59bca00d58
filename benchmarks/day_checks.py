"""What do the checks of a day cost, and what does history add? Processor seconds after each of several days, as JSON.

After each day's run, before its close: the checks that block and all checks, over the newest day and over everything;
``carried`` is what the first of them spends once a day on what earlier days left. Medians of several runs.

    python benchmarks/day_checks.py [--rows 200000] [--days 3]
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()

from clearing.calendar import day_number  # noqa: E402 - the cache is named before a kernel is defined
from clearing.config import load_settings  # noqa: E402
from clearing.engine import run_centre  # noqa: E402
from clearing.initialise import initialise_centre  # noqa: E402
from clearing.reconcile.checks import Severity, run_checks  # noqa: E402
from clearing.reconcile.scope import FOLDER, WHOLE, Scope, carry, newest_day  # noqa: E402
from clearing.report.facts import published_ledger  # noqa: E402
from clearing.settlement import close_window  # noqa: E402
from clearing.simulate import simulate_day  # noqa: E402
from clearing.store import Store  # noqa: E402

PASSPHRASE = "benchmark"
FIRST_DAY = datetime.date(2026, 3, 2)
REPEATS = 3
BLOCKING: tuple[Severity, ...] = ("blocks",)
ALL: tuple[Severity, ...] = ("blocks", "warns")


def main() -> None:
    """Live through the days and print one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=200_000, help="transactions a day")
    arguments.add_argument("--days", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        centre = Path(folder) / "centre"
        initialise_centre(centre, simulated=True, passphrase=PASSPHRASE)
        days = [after_day(centre, number, options.rows) for number in range(options.days)]
    print(json.dumps({"rows_a_day": options.rows, "processor_seconds": days}, indent=1))


def after_day(centre: Path, number: int, rows: int) -> dict[str, float]:
    """Clear one day, measure its checks, and close it."""
    date = FIRST_DAY + datetime.timedelta(number)
    now = (day_number(date) + 1) * 86_400 + 5 * 3_600
    simulate_day(centre, date=date, transactions=rows, seed=number, faults="default", passphrase=PASSPHRASE)
    run_centre(centre, passphrase=PASSPHRASE, now=now)
    with published_ledger(centre) as store:
        day = newest_day(store)
        found = {"carried": 0.0 if day == WHOLE else seconds(lambda: carry(store, centre / FOLDER, day))}
        for words, scope in (("newest day", day), ("everything", WHOLE)):
            found[f"blocking, {words}"] = median_of(store, centre, BLOCKING, scope)
            found[f"all, {words}"] = median_of(store, centre, ALL, scope)
    close_window(centre, date, passphrase=PASSPHRASE, now=now)
    return found


def median_of(store: Store, centre: Path, severities: tuple[Severity, ...], scope: Scope) -> float:
    """Processor seconds of the checks of some severities."""
    policy = load_settings(centre).reconciliation
    taken = [
        seconds(lambda: run_checks(store, policy, severities, directory=centre, scope=scope)) for _ in range(REPEATS)
    ]
    return round(statistics.median(taken), 2)


def seconds(run: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    start = time.process_time()
    run()
    return round(time.process_time() - start, 2)


if __name__ == "__main__":
    main()
