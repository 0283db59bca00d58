"""How fast are journeys priced, and how soon is a changed rule file ready? Medians of several runs, as JSON.

``look-up`` is one step on columns in cache: a distance band, a station pair. ``stateless`` is a complete tariff
with payers, rule and segment; ``stateful`` a month of taps under a monthly discount, in random order of arrival,
sorting included. Rates are rows a second of wall time and of processor
time (which other work on the machine disturbs less), on one thread unless the name says two.

    python benchmarks/tariff_pricing.py [--rows 2000000]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

import tariffs
from tariffs import Tariff, TransitJourneys, TransitPrices, load_tariff, price_journeys, price_transit
from tariffs.transit.chunk import Chunk
from tariffs.transit.pricing import CHUNK_ROWS

REPEATS = 7
LIBRARY = Path(tariffs.__file__).parent / "library"
FIRST_DAY = (date(2026, 3, 1) - date(1970, 1, 1)).days


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of one measurement")
    rows = parser.parse_args().rows
    subway, metro = load_tariff(LIBRARY / "beijing.subway.yaml"), load_tariff(LIBRARY / "demo.metro.yaml")
    monthly = load_tariff(LIBRARY / "beijing.subway_card.yaml")
    journeys = random_journeys(rows)
    in_order = journeys.take(np.lexsort((journeys.entry_time, journeys.card)))
    result = {
        "cpus": os.cpu_count(),
        "rows": rows,
        "look-up of a band": rate(rows, step(subway, journeys)),
        "look-up of a station pair": rate(rows, step(metro, journeys)),
        "stateless tariff": rate(rows, lambda: price_transit(metro.compiled[-1], journeys)),
        "stateless tariff by day": rate(rows, lambda: price_journeys(metro, journeys)),
        "stateful, one thread": rate(rows, lambda: price_journeys(monthly, journeys)),
        "stateful, two threads": rate(rows, lambda: price_journeys(monthly, journeys, threads=2)),
        "stateful, rows in order, two threads": rate(rows, lambda: price_journeys(monthly, in_order, threads=2)),
        "recompile_s": {name: seconds(partial(load_tariff, LIBRARY / f"{name}.yaml"))[0] for name in RECOMPILED},
    }
    print(json.dumps(result, indent=1))


RECOMPILED = ("demo.metro", "beijing.subway_card", "newyork.omny")


def random_journeys(rows: int) -> TransitJourneys:
    """A month of taps of one card in ten rows, in random order."""
    rng = np.random.default_rng(1)
    return TransitJourneys.of(
        rows,
        card=rng.integers(0, max(rows // 10, 1), rows) + 3_000_000_000,
        entry_time=FIRST_DAY * 86_400 + rng.integers(0, 30 * 86_400, rows),
        entry_station=rng.integers(101, 113, rows),
        exit_station=rng.integers(101, 113, rows),
        distance_m=rng.integers(0, 60_000, rows),
        card_class=rng.choice([0, 0, 0, 1, 2, 3], rows),
        sequence=np.arange(rows),
    )


def step(tariff: Tariff, journeys: TransitJourneys) -> Callable[[], None]:
    """The first step of a tariff alone, over chunks built beforehand."""
    operation = tariff.compiled[-1].transit_program().full_fare[0]
    answers = TransitPrices.zeros(len(journeys))
    starts = range(0, len(journeys), CHUNK_ROWS)
    chunks = [Chunk.over(journeys, answers, slice(start, start + CHUNK_ROWS)) for start in starts]

    def run() -> None:
        for chunk in chunks:
            chunk.priced.fill(False)
            operation.apply(chunk)

    return run


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Median wall and processor time after one run that warms caches and compiles kernels."""
    run()
    wall, processor = [], []
    for _ in range(REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return round(statistics.median(wall), 5), round(statistics.median(processor), 5)


def rate(rows: int, run: Callable[[], object]) -> dict[str, float]:
    """Seconds and millions of rows a second, by the wall and per core."""
    wall, processor = seconds(run)
    return {
        "s": wall,
        "million_rows_per_s": round(rows / wall / 1e6, 2),
        "million_rows_per_core_s": round(rows / processor / 1e6, 2),
    }


if __name__ == "__main__":
    main()
