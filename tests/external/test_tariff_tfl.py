"""Fares of London in 2017 by two rule files: Oyster caps as the day goes on, contactless the cheapest combination.

Expected totals were authored by another project from TfL's rules. A travelcard is a product of the holder; what of a
ride lies outside its zones pays single fares. Which weekly or monthly travelcard is the cheapest is asked of the same
files, once per product. Compared is the money; ``capIsMet`` is a note of the other program. The function that adds a
week up was not recorded: a week of Oyster days gives one of the two answers with refunds, contactless days the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tariffs import NULL, Tariff, TransitJourneys, load_tariff, price_journeys

pytestmark = pytest.mark.external

MONDAY = (date(2017, 3, 6) - date(1970, 1, 1)).days * 86_400
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
ZONES = range(1, 9)
HELD = [(low, high) for low in ZONES for high in range(low, 9)]
"""Zones of the travelcards; their products are numbered in this order, from 0."""
Rides = Sequence[Mapping[str, Any]]


def write_table(folder: Path, name: str, header: str, rows: list[tuple[int, ...]]) -> str:
    content = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    (folder / f"{name}.csv").write_text(content)
    return f"  {name}: {{file: {name}.csv, sha256: {hashlib.sha256(content.encode()).hexdigest()}}}\n"


def pence(amount: float) -> int:
    return round(amount * 100)


REFUND = """
  - rebate: {{name: refund, period: {{unit: week}}, of: {of}, days_at_least: 2, by_zones: {{table: refunds, column: off_peak}}}}
"""  # noqa: E501
OYSTER = f"""
  - cap:
      name: off_peak
      period: {{unit: day}}
      by_zones: {{table: caps, columns: {{all: off_peak}}}}
      capping_ride: remainder
      when: {{{OFF_PEAK}}}
  - cap: {{name: anytime, period: {{unit: day}}, by_zones: {{table: caps, columns: {{all: anytime}}}}, capping_ride: remainder}}
"""  # noqa: E501
CONTACTLESS = f"""
  - cheapest:
      name: day
      period: {{unit: day}}
      reduced: {{{OFF_PEAK}}}
      fares: {{table: singles, full: anytime, reduced: off_peak}}
      caps: {{table: outer_caps, full: anytime, reduced: off_peak}}
"""


def write_tariff(
    folder: Path,
    name: str,
    caps: str,
    singles: Mapping[str, Any],
    daily: Mapping[str, Any],
    refunds: Mapping[str, float] | None = None,
) -> Tariff:
    """Stations are zones, ten times a zone is a station on its outer boundary; all caps begin in zone 1."""
    folder.mkdir(exist_ok=True)
    fares = [
        (*map(int, pair.split("-")), pence(fare["anytime"]), pence(fare["offPeak"])) for pair, fare in singles.items()
    ]
    outer = {int(pair[2:]): (pence(cap["anytime"]), pence(cap["offPeak"])) for pair, cap in daily.items()}
    ranges = [(low, high, *outer[high]) for high in outer for low in range(1, high + 1)]
    stations = [(zone, zone, -1) for zone in ZONES] + [(10 * zone, zone, zone + 1) for zone in ZONES]
    tables = write_table(folder, "stations", "station,zone,also", stations)
    tables += write_table(folder, "singles", "entry,exit,anytime,off_peak", fares)
    tables += write_table(folder, "travelcards", "product,zone_low,zone_high", [(n, *z) for n, z in enumerate(HELD)])
    if "outer_caps" in caps:
        rows = [(1, high, *outer[high]) for high in outer]
        tables += write_table(folder, "outer_caps", "zone_low,zone_high,anytime,off_peak", rows)
    else:
        tables += write_table(folder, "caps", "zone_low,zone_high,anytime,off_peak", ranges)
    if refunds is not None:
        rows = [(low, int(pair[2:]), pence(refunds[pair])) for pair in refunds for low in range(1, int(pair[2:]) + 1)]
        tables += write_table(folder, "refunds", "zone_low,zone_high,off_peak", rows)
    zones = "zone_of: stations, fares: {table: singles, directed: false, columns: {all: %s}}"
    beside = "held: travelcards, zone_of: stations, fares: singles, column: %s"
    file = folder / f"{name}.yaml"
    file.write_text(f"""id: tfl.{name}
kind: transit
title: London pay as you go
source: helenzhou6/farecalculator commit a2e3b4a5, some caps altered there on purpose
money: {{currency: GBP, unit: fen}}
policy: engine_priced
late: {{grace_days: 0, after_grace: reprice}}
clock: {{day_starts: "04:30"}}
published: {{first: 2017-01-02, last: 2017-12-31}}
tables:
{tables}steps:
  - zones: {{{zones % "off_peak"}, when: {{{OFF_PEAK}}}}}
  - zones: {{{zones % "anytime"}}}
  - extension: {{{beside % "off_peak"}, when: {{{OFF_PEAK}}}}}
  - extension: {{{beside % "anytime"}, when: {{timeframe: {{at: entry, windows: [{{from: '06:30', before: '09:30'}}, {{from: '16:00', before: '19:00'}}]}}}}}}{caps}tests:
  - {{name: loads, date: 2017-03-06, rows: [{{entry_station: 1, exit_station: 2}}], expect: [{{priced: true}}]}}
""")  # noqa: E501
    return load_tariff(file)


def begin_times(types: list[str]) -> list[int]:
    """Rising times of day (s), a minute apart within an hour that suits each type."""
    now, times = 4.5, []
    for kind in types:
        start, _ = next((start, end) for start, end in HOURS[kind] if now < end)
        now = max(now, start) + 1 / 60
        times.append(round(now * 60) * 60)
    return times


def total(tariff: Tariff, days: Sequence[Rides], held: tuple[int, int] | None) -> int:
    """What rides of several days cost with a travelcard, in pence; the card begins where it ended."""
    stations, times = [], []
    for number, rides in enumerate(days):
        for ride in rides:
            low, high = ride["zones"]
            # A ride inside one zone that counts to the next as well has both its ends on the boundary.
            inner = 10 * low if ride["dualZoneOverlap"] else low
            stations.append((inner, inner if low == high else high))
        times += [MONDAY + 86_400 * number + time for time in begin_times([ride["type"] for ride in rides])]
    journeys = TransitJourneys.of(
        len(times),
        card=1,
        entry_station=[entry for entry, _ in stations],
        exit_station=[exit_ for _, exit_ in stations],
        entry_time=times,
        product=NULL if held is None else HELD.index(held),
    )
    prices, _ = price_journeys(tariff, journeys)
    assert prices.priced.all()
    return int(prices.card_pays.sum())


def held_zones(options: Mapping[str, int] | bool) -> tuple[int, int] | None:
    return (options["minTravelcard"], options["maxTravelcard"]) if isinstance(options, dict) and options else None


def cheapest(tariff: Tariff, days: Sequence[Rides], prices: Mapping[str, int]) -> tuple[str, int]:
    """The travelcard of which its price and the rides beside it cost least, and that sum; ``noCap`` = none."""
    sums = {"noCap": total(tariff, days, None)}
    for zones, price in prices.items():
        low, high = map(int, zones.split("-"))
        sums[zones] = price + total(tariff, days, (low, high))
    return min(sums.items(), key=lambda pair: pair[1])


@pytest.fixture
def cases(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "tariffs/tfl-2017/cases.json").read_text())
    return found


def test_days(tmp_path: Path, cases: dict[str, Any], answered: Callable[[int], None]) -> None:
    table = cases["tables"]["T1"]
    files = {
        "oysterDayTotal": write_tariff(tmp_path, "oyster", OYSTER, table["singleFares"], table["dailyCaps"]),
        "conDayTotal": write_tariff(tmp_path, "bank_card", CONTACTLESS, table["singleFares"], table["dailyCaps"]),
    }
    right = 0
    for case in cases["cases"]:
        if case["fn"] in files:
            rides, options, _ = case["args"]
            found = total(files[case["fn"]], [rides], held_zones(options))
            assert found == pence(case["expected"]["value"]), case["name"]
            right += 1
    assert right == 19
    answered(right)


def test_extension_fares(tmp_path: Path, cases: dict[str, Any], answered: Callable[[int], None]) -> None:
    """``maxDaily`` covers zones 1 to its own beside the travelcard: a cap that costs nothing."""
    right = 0
    for case in cases["cases"]:
        if case["fn"] == "extensionFares":
            ride, covered = case["args"][0], case["args"][0].get("maxDaily")
        elif case["fn"] == "splitOrFullFare":
            low, high, held_low, held_high, _, kind = case["args"]
            ride = {"zones": [low, high], "type": kind, "minTravelcard": held_low, "maxTravelcard": held_high}
            covered = None
        else:
            continue
        caps = OYSTER if covered is None else CONTACTLESS
        outer = {f"1-{covered or 8}": {"anytime": 0 if covered else 99, "offPeak": 0 if covered else 99}}
        tariff = write_tariff(tmp_path / f"case{right}", "beside", caps, cases["tables"]["T2"], outer)
        found = total(tariff, [[ride | {"dualZoneOverlap": False}]], held_zones(ride))
        assert found == pence(case["expected"]), case["name"]
        right += 1
    assert right == 14
    answered(right)


def test_weeks(tmp_path: Path, cases: dict[str, Any], answered: Callable[[int], None]) -> None:
    """Days add up under one travelcard, and the cheapest travelcard of all is found by asking for each."""
    table = cases["tables"]["T3"]
    oyster = write_tariff(tmp_path, "oyster", OYSTER, table["singleFares"], table["dailyCaps"])
    bank_card = write_tariff(tmp_path, "bank_card", CONTACTLESS, table["singleFares"], table["dailyCaps"])
    weekly = {zones: pence(price) for zones, price in table["weeklyCaps"].items()}
    monthly = {zones: pence(price * 12 / 52) for zones, price in table["monthlyCaps"].items()}
    refunds = table["autoOffPeakRefund"]
    fares = (table["singleFares"], table["dailyCaps"], refunds)
    refunding = [
        write_tariff(tmp_path / "refunds", "oyster", OYSTER + REFUND.format(of="off_peak").lstrip("\n"), *fares),
        write_tariff(tmp_path / "refunds", "bank_card", CONTACTLESS + REFUND.format(of="day").lstrip("\n"), *fares),
    ]
    right, by_refund = 0, []
    for case in cases["cases"]:
        expected = case["expected"]
        if case["fn"] == "weekTotal":
            days, options = case["args"][1], cases["tables"][case["args"][2]["$table"]]["options"]
            found = [total(tariff, days, held_zones(options)) for tariff in refunding]
            assert pence(expected) in found, case["name"]
            by_refund.append(found)
            right += 1
        elif case["fn"] == "contactless":
            assert cheapest(bank_card, case["args"][0], weekly)[1] == pence(expected), case["name"]
            right += 1
        elif case["fn"] == "oyster":
            for answer, prices in (("weeklyCap", weekly), ("monthlyCap", monthly)):
                found = cheapest(oyster, case["args"][0], prices)
                assert found == (expected[answer]["cap"], pence(expected[answer]["weeklyValue"])), case["name"]
            right += 1
    assert right == 8
    assert by_refund == [[0, 0], [6370, 6050], [950, 850], [6450, 6150]]
    answered(right)
