"""Oyster day totals of 2017: caps by the widest zone range used, off-peak and any-time caps together.

Expected totals were authored by another project from TfL's rules. Expressed are the Oyster days of riders whose
travelcard, if any, lies outside every zone they travel. Not expressed, and why:

* ``extensionFares``, ``splitOrFullFare`` and days with a travelcard in reach: the fare of the zones outside a
  travelcard is the cheapest of several splits, which no step offers;
* ``conDayTotal``, ``contactless``, ``oyster``, ``weekTotal``: contactless picks the cheapest combination of cap
  and extension fares once a day (week, month) is over; a card is charged ride by ride here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tariffs import Tariff, TransitJourneys, load_tariff, price_journeys

pytestmark = pytest.mark.external

DAY = (date(2017, 3, 6) - date(1970, 1, 1)).days * 86_400
OFF_PEAK = (
    "timeframe: {at: entry, windows: [{from: '04:30', before: '06:30'}, {from: '09:30', before: '16:00'}, "
    "{from: '19:00', before: '04:30'}]}"
)
# The hours in which a type of ride can begin, in the order of the day: rides are put into the first that fits.
HOURS = {
    "early": [(4.5, 6.5)],
    "anytime": [(6.5, 9.5), (16.0, 19.0)],
    "offPeak": [(4.5, 6.5), (9.5, 16.0), (19.0, 28.5)],
    "afternoon": [(16.0, 19.0)],
}


def write_table(folder: Path, name: str, header: str, rows: list[tuple[int, ...]]) -> str:
    content = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    (folder / f"{name}.csv").write_text(content)
    return f"  {name}: {{file: {name}.csv, sha256: {hashlib.sha256(content.encode()).hexdigest()}}}\n"


def pence(amount: float) -> int:
    return round(amount * 100)


def write_tariff(folder: Path, prices: dict[str, Any]) -> Tariff:
    """Stations are zones; the cap of a range is that of zone 1 to its outer zone, as TfL publishes them."""
    singles = [
        (*map(int, pair.split("-")), pence(fare["anytime"]), pence(fare["offPeak"]))
        for pair, fare in prices["singleFares"].items()
    ]
    outer = {
        int(pair[2:]): (pence(cap["anytime"]), pence(cap["offPeak"])) for pair, cap in prices["dailyCaps"].items()
    }
    caps = [(low, high, *outer[high]) for high in outer for low in range(1, high + 1)]
    tables = write_table(folder, "zones", "station,zone", [(zone, zone) for zone in outer])
    tables += write_table(folder, "singles", "entry,exit,anytime,off_peak", singles)
    tables += write_table(folder, "caps", "zone_low,zone_high,anytime,off_peak", caps)
    fares = "zone_of: zones, fares: {table: singles, directed: false, columns: {all: %s}}"
    cap = "period: {unit: day}, by_zones: {table: caps, columns: {all: %s}}, capping_ride: remainder"
    file = folder / "oyster.yaml"
    file.write_text(f"""id: tfl.oyster
kind: transit
title: Oyster pay as you go
source: helenzhou6/farecalculator commit a2e3b4a5, some caps altered there on purpose
money: {{currency: GBP, unit: fen}}
policy: engine_priced
late: {{grace_days: 0, after_grace: reprice}}
clock: {{day_starts: "04:30"}}
published: {{first: 2017-01-02, last: 2017-12-31}}
tables:
{tables}steps:
  - zones: {{{fares % "off_peak"}, when: {{{OFF_PEAK}}}}}
  - zones: {{{fares % "anytime"}}}
  - cap: {{name: off_peak, {cap % "off_peak"}, when: {{{OFF_PEAK}}}}}
  - cap: {{name: anytime, {cap % "anytime"}}}
tests:
  - {{name: loads, date: 2017-03-06, rows: [{{entry_station: 1, exit_station: 2}}], expect: [{{gross: 240}}]}}
""")
    return load_tariff(file)


def begin_times(types: list[str]) -> list[int]:
    """Rising times of day, a minute apart within an hour that suits each type."""
    now, times = 4.5, []
    for kind in types:
        start, _ = next((start, end) for start, end in HOURS[kind] if now < end)
        now = max(now, start) + 1 / 60
        times.append(DAY + round(now * 60) * 60)
    return times


def out_of_reach(rides: list[dict[str, Any]], options: dict[str, int]) -> bool:
    """No travelcard, or one whose zones none of the rides touches."""
    if not options:
        return True
    low, high = options["minTravelcard"], options["maxTravelcard"]
    return all(ride["zones"][1] < low or ride["zones"][0] > high for ride in rides) and not any(
        ride["dualZoneOverlap"] for ride in rides
    )


def test_oyster_days(tmp_path: Path, shared_data: Path, answered: Callable[[int], None]) -> None:
    data = json.loads((shared_data / "tariffs/tfl-2017/cases.json").read_text())
    tariff = write_tariff(tmp_path, data["tables"]["T1"])
    right, skipped = 0, []
    for case in data["cases"]:
        if case["fn"] != "oysterDayTotal":
            continue
        rides, options, _ = case["args"]
        if not out_of_reach(rides, options):
            skipped.append(case["name"])
            continue
        journeys = TransitJourneys.of(
            len(rides),
            card=1,
            entry_station=[ride["zones"][0] for ride in rides],
            exit_station=[ride["zones"][1] for ride in rides],
            entry_time=begin_times([ride["type"] for ride in rides]),
        )
        prices, _ = price_journeys(tariff, journeys)
        assert prices.priced.all()
        assert prices.card_pays.sum() == pence(case["expected"]["value"]), case["name"]
        right += 1
    assert (right, len(skipped)) == (7, 3)
    answered(right)
