"""Whole job against the physical floor of loading the same rows (DESIGN §13): 1 M and 10 M transit rows.

Floor: ``CREATE TABLE AS SELECT`` of the delivered Parquet files (all transit columns, as ``simulate`` writes them:
zstd level 1) into a fresh DuckDB file including CHECKPOINT, two threads, median of five; and the same on integer
columns only. Job: a warm process from deliveries in the inbox to result receipts, with archive, seals, vault,
projection and feedback; a first and a second day; compiling kernels apart. Same machine, same run, side by side.

    python benchmarks/whole_job.py [--rows 1000000] [--repeats 5] [--folder DIR]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from clearing.allocator import keep_freed_memory
from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()
keep_freed_memory()

import duckdb  # noqa: E402 - the floor is DuckDB's own, outside the engine's store

from clearing import calendar  # noqa: E402
from clearing.engine import RunSummary, run_centre  # noqa: E402
from clearing.initialise import initialise_centre  # noqa: E402
from clearing.simulate import simulate_day  # noqa: E402
from clearing.warm_up import warm_up  # noqa: E402

PASSPHRASE = "benchmark"
FIRST_DAY = datetime.date(2026, 3, 2)
TRANSIT_SHARE = 0.6
"""Lower bound of the share of transit rows in a simulated day."""


def main() -> None:
    """Make the days in a child process (so that its memory does not count), measure, print one table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="whole-job-"))
    if options.make:
        make_days(folder, options.rows)
        return
    subprocess.run(
        [sys.executable, __file__, "--make", "--rows", str(options.rows), "--folder", str(folder)], check=True
    )
    print(json.dumps(measure(folder, options.repeats), indent=1))
    if options.folder is None:
        shutil.rmtree(folder)


def make_days(folder: Path, rows: int) -> None:
    """A centre with two simulated days; the inbox of each day holds transit deliveries of about ``rows`` rows."""
    centre = folder / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE)
    for number in range(2):
        date = FIRST_DAY + datetime.timedelta(days=number)
        simulate_day(
            centre,
            date=date,
            transactions=int(rows / TRANSIT_SHARE),
            seed=number,
            faults="default",
            passphrase=PASSPHRASE,
        )
        day = folder / f"day{number}"
        day.mkdir()
        kept = 0
        for manifest in sorted((centre / "inbox").glob("*.manifest.json")):
            data = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
            content = json.loads(manifest.read_bytes())
            if content["service"] == "transit" and kept < rows:
                kept += content["rows"]
                shutil.move(data, day)
                shutil.move(manifest, day)
        shutil.rmtree(centre / "inbox")
        (centre / "inbox").mkdir()


def floor_seconds(files: list[Path], columns: str) -> float:
    """Seconds of one load of the files into a fresh database, checkpoint included."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(str(Path(folder) / "floor.duckdb"), config={"threads": 2})
        listed = [str(path) for path in files]
        start = time.perf_counter()
        connection.execute(f"CREATE TABLE rows AS SELECT {columns} FROM read_parquet($files)", {"files": listed})
        connection.execute("CHECKPOINT")
        seconds = time.perf_counter() - start
        connection.close()
    return seconds


def measure(folder: Path, repeats: int) -> dict[str, object]:
    """The table: floors, both days, ratios, memory. Each repeat clears both days in a fresh copy of the centre."""
    start = time.perf_counter()
    warm_up()
    result: dict[str, object] = {"machine": cpu_model(), "compile_seconds": round(time.perf_counter() - start, 2)}
    jobs: list[list[tuple[float, RunSummary]]] = [[], []]
    floors: list[list[float]] = [[], []]
    integers: list[list[float]] = [[], []]
    for _ in range(repeats):
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(folder / "centre", folder / "copy")
        for number in range(2):
            # Floor and job take turns, so that a slow minute of the machine hits both.
            files = sorted((folder / f"day{number}").glob("*.parquet"))
            for _ in range(max(1, 5 // repeats + 1)):
                floors[number].append(floor_seconds(files, "*"))
            integers[number].append(floor_seconds(files, "* EXCLUDE (card_no)"))
            jobs[number].append(job_seconds(folder / "copy", folder / f"day{number}", number))
    for number in range(2):
        result[f"day {number + 1}"] = _day(folder / f"day{number}", floors[number], integers[number], jobs[number])
    result["max_rss_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return result


def job_seconds(centre: Path, day: Path, number: int) -> tuple[float, RunSummary]:
    """Seconds from deliveries in the inbox to the last receipt, and the run's own account."""
    for path in day.iterdir():
        shutil.copy(path, centre / "inbox")
    # What copying and the floors left unwritten is not the job's to wait for.
    os.sync()
    now = calendar.day_number(FIRST_DAY + datetime.timedelta(days=number + 2)) * 86400
    start = time.perf_counter()
    summary = run_centre(centre, passphrase=PASSPHRASE, now=now)
    return time.perf_counter() - start, summary


def _day(
    day: Path, floors: list[float], integers: list[float], jobs: list[tuple[float, RunSummary]]
) -> dict[str, object]:
    rows = sum(json.loads(path.read_bytes())["rows"] for path in day.glob("*.json"))
    size = sum(path.stat().st_size for path in day.glob("*.parquet"))
    floor, job = statistics.median(floors), statistics.median(seconds for seconds, _ in jobs)
    _, middle = sorted(jobs, key=lambda each: each[0])[len(jobs) // 2]
    return {
        "rows": rows,
        "cleared": middle.rows,
        "bytes_per_row": round(size / rows, 1),
        "floor_seconds": round(floor, 2),
        "floor_rows_per_second": round(rows / floor),
        "integer_floor_seconds": round(statistics.median(integers), 2),
        "job_seconds": round(job, 2),
        "job_seconds_each": [round(seconds, 2) for seconds, _ in jobs],
        "job_rows_per_second": round(rows / job),
        "job_over_floor": round(job / floor, 2),
        "stages": {stage: round(seconds, 2) for stage, seconds in middle.seconds.items()},
    }


def cpu_model() -> str:
    """The processor's own name for itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
