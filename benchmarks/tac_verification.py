"""How fast are TACs verified? Our engine beside pycryptodome and john, in one run.

Every row is verified from its master key: the card key is derived again (6 of the 9 DES
blocks of a purchase, of the 10 of a load), columns are packed and transposed. The engine
runs in child processes, because the CPU that LLVM may use is fixed when numba starts: once
with the CPU as it is, once held to AVX2. john's figure is its bitsliced crypt(3), 25 DES
blocks each with one key schedule, on one thread.

    python benchmarks/tac_verification.py [--rows 2000000]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

REPEATS = 5
PURCHASE_BLOCKS = 9
LOAD_BLOCKS = 10
LOAD_SHARE = 0.2
CRYPT3_BLOCKS = 25
SCALAR_ROWS = 2000
HELD_TO_AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
JOHN = shutil.which("john", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Line(NamedTuple):
    """One line of the table: millions of TACs and of DES blocks a second."""

    what: str
    rows: float | None
    blocks: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of one engine measurement")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure_engine(arguments.rows)))
        return
    print(f"{cpu_model()}, {os.cpu_count()} CPUs; {arguments.rows:,} rows; medians of {REPEATS}\n")
    lines = [
        *engine_lines("native vectors", arguments.rows, {}),
        *engine_lines("held to AVX2", arguments.rows, HELD_TO_AVX2),
        scalar_line(),
    ]
    if JOHN is not None:
        lines.append(john_line(JOHN))
    print(f"{'':<46}{'M TAC/s':>9}{'M DES blocks/s':>16}")
    for line in lines:
        rows = "" if line.rows is None else f"{line.rows:.4g}"
        print(f"{line.what:<46}{rows:>9}{line.blocks:>16.4g}")
    if JOHN is None:
        print("john --test (descrypt): not installed; apt-get install john")


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median wall time of `REPEATS` calls."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_engine(rows: int) -> dict[str, float]:
    """Measure in this process: seconds of the first call, then M rows/s by case."""
    from clearing.kernel_cache import set_kernel_cache

    set_kernel_cache()
    import numpy as np

    from clearing.mac import TacVerdict, compute_tac, verify_tac

    result = {}
    start = time.perf_counter()
    for case, loads, threads in (
        ("purchases, 1 thread", 0.0, 1),
        ("purchases, 2 threads", 0.0, 2),
        ("80 % purchases 20 % loads, 1 thread", LOAD_SHARE, 1),
    ):
        inputs, keys = random_rows(rows, loads)
        if not result:
            start = time.perf_counter()
        tac = compute_tac(inputs, keys, threads=threads).astype(np.int64)
        verdicts = verify_tac(inputs, tac, keys, threads=threads)
        if not result:
            result["first call"] = time.perf_counter() - start
        if not (verdicts == TacVerdict.VERIFIED).all():
            raise AssertionError("a genuine row failed")
        seconds = median_seconds(lambda i=inputs, t=tac, k=keys, n=threads: verify_tac(i, t, k, threads=n))
        result[case] = rows / seconds / 1e6
    return result


def random_rows(rows: int, loads: float) -> tuple[Any, Any]:
    """Return random `TacInput` rows and twenty master keys; seed fixed."""
    import numpy as np

    from clearing.mac import TacInput

    random = np.random.default_rng(20260302)

    def column(stop: int, dtype: Any) -> Any:
        return random.integers(0, stop, rows, dtype=dtype)

    inputs = TacInput(
        amount=column(100_000, np.int64),
        txn_type=np.where(random.random(rows) < loads, 2, 6).astype(np.uint8),
        terminal_id=column(2**48, np.uint64),
        terminal_counter=column(2**32, np.uint32),
        date4=column(2**32, np.uint32),
        time3=column(2**24, np.uint32),
        new_balance=column(2**32, np.uint32),
        online_counter=column(2**16, np.uint16),
        factor=column(2**64, np.uint64),
        key_row=column(20, np.int32),
    )
    return inputs, random.integers(0, 256, (20, 16), dtype=np.uint8)


def engine_lines(title: str, rows: int, settings: dict[str, str]) -> list[Line]:
    """Measure the engine in a child process with these numba settings."""
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, __file__, "--measure", "--rows", str(rows)],
        env={**os.environ, "PYTHONPATH": root, **settings},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cases = json.loads(done.stdout)
    print(f"{title}: first call, compilation or cache included, {cases.pop('first call'):.2f} s")
    return [
        Line(f"{title}, {case}", rate, rate * (mixed_blocks() if "loads" in case else PURCHASE_BLOCKS))
        for case, rate in cases.items()
    ]


def mixed_blocks() -> float:
    """Return the DES blocks a row needs in the mix; the engine's uniform groups spend ten on each."""
    return (1 - LOAD_SHARE) * PURCHASE_BLOCKS + LOAD_SHARE * LOAD_BLOCKS


def scalar_line() -> Line:
    """Measure the same work one card at a time with `card_io.mac`."""
    from card_io import mac

    master = bytes(range(16))

    def work() -> None:
        for serial in range(SCALAR_ROWS):
            card_key = mac.diversify_key(master, serial.to_bytes(8, "big"))
            mac.purchase_tac(card_key, 300, 6, 0x001122334455, serial, 0x20260302, 0x221450)

    rate = SCALAR_ROWS / median_seconds(work) / 1e6
    return Line("pycryptodome (card_io.mac), 1 thread", rate, rate * PURCHASE_BLOCKS)


def john_line(john: str) -> Line:
    """Run john's own benchmark; it names its vector width."""
    rates = []
    width = ""
    for _ in range(REPEATS):
        text = subprocess.run(
            [john, "--test=1", "--format=descrypt"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.search(r"\[(.*?)\].*?Many salts:\s*(\d+)(K?) c/s real", text, re.DOTALL)
        if found is None:
            raise ValueError(f"john printed no descrypt rate: {text!r}")
        width = found[1]
        rates.append(int(found[2]) / (1e3 if found[3] else 1e6))
    return Line(f"john descrypt, {width}, 1 thread", None, statistics.median(rates) * CRYPT3_BLOCKS)


def cpu_model() -> str:
    """Return the CPU's model name as Linux tells it."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    return found[1] if found else "unknown CPU"


if __name__ == "__main__":
    main()
