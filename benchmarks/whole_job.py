"""Whole job against the physical floor of loading the same rows (DESIGN §13): 1 M and 10 M transit rows.

Floor: ``CREATE TABLE AS SELECT`` of the delivered Parquet files (all transit columns, as ``simulate`` writes them:
zstd level 1) into a fresh DuckDB file including CHECKPOINT, two threads; and the same on integer columns only. Job: a
warm process from deliveries in the inbox to result receipts, with archive, seals, vault, projection and feedback; a
first and a second day; compiling kernels apart. Same machine, same run, taking turns; medians of all repeats.

On a shared machine the hypervisor takes seconds away (``stolen``, of all cores together). Each job is therefore given
in processor seconds too, and the ratio a second time over the pairs that lost less than a tenth (``calm``).

    python benchmarks/whole_job.py [--rows 1000000] [--repeats 5] [--folder DIR]

A folder that holds the days of an earlier call is measured again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from clearing.allocator import keep_freed_memory
from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()
keep_freed_memory()

import duckdb  # noqa: E402 - the floor is DuckDB's own, outside the engine's store

from clearing import calendar  # noqa: E402
from clearing.engine import run_centre  # noqa: E402
from clearing.initialise import initialise_centre  # noqa: E402
from clearing.run_summary import RunSummary  # noqa: E402
from clearing.simulate import simulate_day  # noqa: E402
from clearing.warm_up import warm_up  # noqa: E402

PASSPHRASE = "benchmark"
FIRST_DAY = datetime.date(2026, 3, 2)
Result = TypeVar("Result")

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
    if not (folder / "day1").exists():
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


@dataclass(frozen=True, slots=True)
class Took:
    """What something took: wall seconds, processor seconds of this process, seconds stolen from all cores."""

    wall: float
    cpu: float
    stolen: float

    @property
    def calm(self) -> bool:
        """Whether the machine kept less than a tenth of the cores' time from whoever wanted it."""
        return self.stolen < 0.1 * self.wall * (os.cpu_count() or 1)


def took(what: Callable[[], Result]) -> tuple[Took, Result]:
    """Run something and say what it took."""
    stolen, cpu, start = stolen_seconds(), time.process_time(), time.perf_counter()
    result = what()
    return Took(time.perf_counter() - start, time.process_time() - cpu, stolen_seconds() - stolen), result


def stolen_seconds() -> float:
    """Seconds the hypervisor ran others while a core here had work, since the start (0 where nobody tells)."""
    line = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(line[8]) / os.sysconf("SC_CLK_TCK") if len(line) > 8 else 0.0


def floor(files: list[Path], columns: str) -> Took:
    """One load of the files into a fresh database, checkpoint included; in a process whose memory is its own."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(load, [str(path) for path in files], columns).result()


def load(files: list[str], columns: str) -> Took:
    """Load the files with DuckDB alone and say what it took."""
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(str(Path(folder) / "floor.duckdb"), config={"threads": 2})
        connection.execute("SET enable_progress_bar = false")

        def run() -> None:
            source = "read_parquet($files, union_by_name = true)"
            connection.execute(f"CREATE TABLE rows AS SELECT {columns} FROM {source}", {"files": files})
            connection.execute("CHECKPOINT")

        taken, _ = took(run)
        connection.close()
    return taken


@dataclass
class Day:
    """What was measured of one day, repeat by repeat."""

    folder: Path
    floors: list[Took] = field(default_factory=list)
    integers: list[Took] = field(default_factory=list)
    jobs: list[tuple[Took, RunSummary]] = field(default_factory=list)


def measure(folder: Path, repeats: int) -> dict[str, object]:
    """The table: floors, both days, ratios, memory. Each repeat clears both days in a fresh copy of the centre."""
    compiled, _ = took(warm_up)
    result: dict[str, object] = {"machine": cpu_model(), "compile_seconds": round(compiled.wall, 2)}
    days = [Day(folder / f"day{number}") for number in range(2)]
    copies = [folder / f"copy-{number}" for number in range(repeats)]
    for copy in copies:
        shutil.rmtree(copy, ignore_errors=True)
    for copy in copies:
        # Copies go at the end: a file system that was told to forget thousands of files makes new ones slowly.
        shutil.copytree(folder / "centre", copy)
        for number, day in enumerate(days):
            # Floor and job take turns, so that a slow minute of the machine hits both.
            files = sorted(day.folder.glob("*.parquet"))
            day.floors.append(floor(files, "*"))
            day.jobs.append(job(copy, day.folder, number))
            day.integers.append(floor(files, "* EXCLUDE (card_no)"))
    for copy in copies:
        shutil.rmtree(copy)
    for number, day in enumerate(days):
        result[f"day {number + 1}"] = table(day)
    result["max_rss_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return result


def job(centre: Path, day: Path, number: int) -> tuple[Took, RunSummary]:
    """From deliveries in the inbox to the last receipt, and the run's own account."""
    for path in day.iterdir():
        shutil.copy(path, centre / "inbox")
    # What copying and the floors left unwritten is not the job's to wait for.
    os.sync()
    now = calendar.day_number(FIRST_DAY + datetime.timedelta(days=number + 2)) * 86400
    return took(lambda: run_centre(centre, passphrase=PASSPHRASE, now=now))


def table(day: Day) -> dict[str, object]:
    """Medians of one day."""
    rows = sum(json.loads(path.read_bytes())["rows"] for path in day.folder.glob("*.json"))
    size = sum(path.stat().st_size for path in day.folder.glob("*.parquet"))
    jobs = [taken for taken, _ in day.jobs]
    calm = [j.wall / f.wall for f, j in zip(day.floors, jobs, strict=True) if f.calm and j.calm]
    _, middle = sorted(day.jobs, key=lambda each: each[0].wall)[len(day.jobs) // 2]
    return {
        "rows": rows,
        "cleared": middle.rows,
        "bytes_per_row": round(size / rows, 1),
        "floor_seconds": _median(each.wall for each in day.floors),
        "floor_cpu_seconds": _median(each.cpu for each in day.floors),
        "integer_floor_seconds": _median(each.wall for each in day.integers),
        "job_seconds": _median(each.wall for each in jobs),
        "job_cpu_seconds": _median(each.cpu for each in jobs),
        "floor_job_stolen_each": [
            [round(f.wall, 2), round(j.wall, 2), round(f.stolen + j.stolen, 2)]
            for f, j in zip(day.floors, jobs, strict=True)
        ],
        "job_over_floor": _median(j.wall / f.wall for f, j in zip(day.floors, jobs, strict=True)),
        "job_over_floor_calm": [len(calm), _median(calm)] if calm else "no calm pair",
        "cpu_over_floor_cpu": _median(j.cpu / f.cpu for f, j in zip(day.floors, jobs, strict=True)),
        "stages": {stage: round(seconds, 2) for stage, seconds in middle.seconds.items()},
    }


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 2)


def cpu_model() -> str:
    """The processor's own name for itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
