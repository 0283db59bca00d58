"""How fast are journeys priced, and how soon is a changed rule file ready? Medians of several runs, as JSON.

``look-up`` is one step on columns in chunks: a distance band, a station pair. ``stateless`` is a complete tariff
with payers, rule and segment; ``stateful`` a month of taps under a monthly discount, in random order of arrival,
sorting included. Rates are rows a second of wall time and of processor time (which other work on the machine
disturbs less), on one thread unless the name says two. Freed memory is kept, as every command of ``clearing`` does.
``numpy`` is the same band, pair and complete tariff written
plainly in numpy for this file; ``OpenFisca`` its scales on the band and on a marginal scale, beside ours, by the
interpreter given (openfisca-core need not live beside our packages).

    python benchmarks/tariff_pricing.py [--rows 2000000] [--openfisca PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

import tariffs
from clearing.allocator import keep_freed_memory
from tariffs import Tariff, TransitJourneys, TransitPrices, load_tariff, price_journeys, price_transit
from tariffs.compiler import compile_steps
from tariffs.transit.chunk import Chunk, Operation
from tariffs.transit.pricing import CHUNK_ROWS
from tariffs.vocabulary import STEPS_OF_KIND

REPEATS = 7
LIBRARY = Path(tariffs.__file__).parent / "library"
FIRST_DAY = (date(2026, 3, 1) - date(1970, 1, 1)).days
RECOMPILED = ("demo.metro", "beijing.subway_card", "newyork.omny")
BANDS = [(0, 300), (6_100, 400), (12_100, 500), (22_100, 600), (32_100, 700), (52_100, 800)]
"""Metres from which a fare (fen) holds: the Beijing bands as far as the rows reach."""
MARGINAL = [(0, 0), (3_000, 20), (10_000, 15), (25_000, 10), (40_000, 5)]
"""Metres from which each metre costs so many hundredths of a fen."""
OPENFISCA = """
import json, statistics, sys, time
import numpy as np
from openfisca_core.taxscales import MarginalRateTaxScale, SingleAmountTaxScale
rows, repeats, bands, marginal = json.loads(sys.argv[1])
metres = np.random.default_rng(1).integers(0, 60_000, rows).astype(float)
single, slopes = SingleAmountTaxScale(), MarginalRateTaxScale()
for start, fare in bands:
    single.add_bracket(start, fare)
for start, rate in marginal:
    slopes.add_bracket(start, rate / 100)
answer = {}
for name, scale in (("band", single), ("marginal scale", slopes)):
    scale.calc(metres)
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        scale.calc(metres)
        taken.append(time.process_time() - start)
    answer[name] = rows / statistics.median(taken) / 1e6
print(json.dumps(answer))
"""


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of one measurement")
    parser.add_argument("--openfisca", help="interpreter that has openfisca-core")
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = arguments.rows
    subway, metro = load_tariff(LIBRARY / "beijing.subway.yaml"), load_tariff(LIBRARY / "demo.metro.yaml")
    monthly = load_tariff(LIBRARY / "beijing.subway_card.yaml")
    journeys = random_journeys(rows)
    in_order = journeys.take(np.lexsort((journeys.sequence, journeys.entry_time, journeys.card)))
    result = {
        "cpus": os.cpu_count(),
        "rows": rows,
        "look-up of a band": rate(rows, step(first_step(subway), journeys)),
        "numpy: band": rate(rows, lambda: numpy_band(journeys.distance_m)),
        "look-up of a station pair": rate(rows, step(first_step(metro), journeys)),
        "numpy: station pair": rate(rows, numpy_pairs(metro, journeys)),
        "marginal scale": rate(rows, step(marginal_step(), journeys)),
        "OpenFisca": openfisca(arguments.openfisca, rows),
        "stateless tariff": rate(rows, lambda: price_transit(metro.compiled[-1], journeys)),
        "numpy: complete tariff": rate(rows, numpy_tariff(metro, journeys)),
        "stateless tariff by day, two threads": rate(rows, lambda: price_journeys(metro, journeys, threads=2)),
        "stateful, one thread": rate(rows, lambda: price_journeys(monthly, journeys)),
        "stateful, two threads": rate(rows, lambda: price_journeys(monthly, journeys, threads=2)),
        "stateful, rows in order, two threads": rate(rows, lambda: price_journeys(monthly, in_order, threads=2)),
        "recompile_s": {name: seconds(partial(load_tariff, LIBRARY / f"{name}.yaml"))[0] for name in RECOMPILED},
    }
    print(json.dumps(result, indent=1))


def random_journeys(rows: int) -> TransitJourneys:
    """A month of taps of one card in ten rows, in random order; card numbers are spread as keyed ones are."""
    rng = np.random.default_rng(1)
    cards = rng.integers(-(2**63), 2**63 - 1, max(rows // 10, 1))
    return TransitJourneys.of(
        rows,
        card=cards[rng.integers(0, len(cards), rows)],
        entry_time=FIRST_DAY * 86_400 + rng.integers(0, 30 * 86_400, rows),
        entry_station=rng.integers(101, 113, rows),
        exit_station=rng.integers(101, 113, rows),
        distance_m=rng.integers(0, 60_000, rows),
        card_class=rng.choice([0, 0, 0, 1, 2, 3], rows),
        sequence=np.arange(rows),
    )


def first_step(tariff: Tariff) -> Operation:
    """The compiled first step of a tariff."""
    return tariff.compiled[-1].transit_program().full_fare[0]


def marginal_step() -> Operation:
    """A marginal scale of started hundreds of metres with the slopes of :data:`MARGINAL`."""
    ends = [start for start, _ in MARGINAL[1:]]
    bands = [{"up_to": end, "per_started": 100, "add": add} for end, (_, add) in zip(ends, MARGINAL, strict=False)]
    bands.append({"per_started": 100, "add": MARGINAL[-1][1]})
    step = STEPS_OF_KIND["transit"]["bands"].model_validate({"of": "distance_m", "mode": "marginal", "bands": bands})
    day = date(2026, 1, 1)
    compiled = compile_steps(
        tariff_id="benchmark.scale",
        kind="transit",
        segment=0,
        first_day=day,
        last_day=day,
        steps=[("bands", step)],
        tables={},
    )
    return compiled.transit_program().full_fare[0]


def step(operation: Operation, journeys: TransitJourneys) -> Callable[[], None]:
    """One step over chunks built beforehand."""
    answers = TransitPrices.zeros(len(journeys))
    starts = range(0, len(journeys), CHUNK_ROWS)
    slices = [slice(start, start + CHUNK_ROWS) for start in starts]
    chunks = [Chunk.over(journeys, answers.take(rows), rows) for rows in slices]

    def run() -> None:
        for chunk in chunks:
            chunk.priced.fill(False)
            operation.apply(chunk)

    return run


def numpy_band(metres: np.ndarray) -> np.ndarray:
    """Fare by band as one would write it."""
    edges = np.array([start for start, _ in BANDS])
    return np.array([fare for _, fare in BANDS])[np.searchsorted(edges, metres, side="right") - 1]


def numpy_pairs(metro: Tariff, journeys: TransitJourneys) -> Callable[[], np.ndarray]:
    """Fare by station pair from a square, as one would write it."""
    table = metro.tables["fares"]
    entry, exit_ = table.column("entry"), table.column("exit")
    square = np.zeros((200, 200), np.int64)
    square[entry, exit_] = square[exit_, entry] = table.column("fare")
    return lambda: square[journeys.entry_station, journeys.exit_station]


def numpy_tariff(metro: Tariff, journeys: TransitJourneys) -> Callable[[], object]:
    """The whole of demo.metro for complete journeys in whole columns: fare, concession, fund, operator."""
    fare = numpy_pairs(metro, journeys)
    ratio = np.array([10_000, 5_000, 0, 0])
    share = np.array([0, 5_000, 10_000, 10_000])

    def run() -> object:
        gross = fare()
        card_pays = (gross * ratio[journeys.card_class] + 5_000) // 10_000
        fund_pays = ((gross - card_pays) * share[journeys.card_class] + 5_000) // 10_000
        fund = np.where(fund_pays > 0, np.array([0, 3, 1, 2])[journeys.card_class], 0).astype(np.uint16)
        rule = np.where(journeys.card_class == 0, 1, 2 + journeys.card_class).astype(np.uint16)
        return gross, card_pays, fund_pays, fund, gross - card_pays - fund_pays, rule, np.zeros_like(rule)

    return run


def openfisca(interpreter: str | None, rows: int) -> object:
    """Millions of rows a second and core of OpenFisca's scales; why not, when it did not run."""
    if interpreter is None:
        return "not run: give --openfisca PYTHON"
    arguments = json.dumps([rows, REPEATS, BANDS, MARGINAL])
    done = subprocess.run([interpreter, "-c", OPENFISCA, arguments], capture_output=True, text=True, check=False)
    return done.stderr[-500:] if done.returncode else json.loads(done.stdout)


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
