"""Leg prices of two small GTFS Fares v2 feeds, as the tests of MOTIS nigiri expect them.

Each feed is translated into rule files, one per medium and kind of product, since a card here has one price: a
leg rule becomes a flat fare for its areas, time frame and rider category, higher ``rule_priority`` first; area
sets become zone pairs. A leg that join rules make out of several is one journey. The transfer rule core → air
is another step's business and not compared here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rule_files import write_table, write_tariff

from tariffs import CardClass, TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

YEAR = ("2022-01-01", "2022-12-31")
EPOCH = datetime(1970, 1, 1)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLASS_OF_RIDER = {
    "adult": "adult",
    "reduced": "half",
    "pensioner": "elderly",
    "reduced_mobility": "disabled",
    "children": "student",
}
Rows = list[dict[str, str]]


def read(feed: Path, name: str) -> Rows:
    with (feed / f"{name}.txt").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fen(amount: str) -> int:
    return int(Decimal(amount) * 100)


def stops_of_areas(feed: Path) -> dict[str, list[int]]:
    """Area → stops, which are numbered in the order of stops.txt."""
    number = {row["stop_id"]: position for position, row in enumerate(read(feed, "stops"), start=1)}
    areas: dict[str, list[int]] = {}
    for row in read(feed, "stop_areas"):
        areas.setdefault(row["area_id"], []).append(number[row["stop_id"]])
    return areas


def timeframes(feed: Path) -> dict[str, Any]:
    """Group → time frame by entry."""
    days = {row["service_id"]: [day[:3] for day in WEEKDAYS if row[day] == "1"] for row in read(feed, "calendar")}
    groups: dict[str, Any] = {}
    for row in read(feed, "timeframes"):
        bounds = [row[name] or empty for name, empty in (("start_time", "0:00"), ("end_time", "24:00"))]
        start, end = (f"{int(bound.split(':')[0]):02}:{bound.split(':')[1]}" for bound in bounds)
        window = {"days": days[row["service_id"]], "from": start, "before": end}
        groups.setdefault(row["timeframe_group_id"], {"at": "entry", "windows": []})["windows"].append(window)
    return groups


def leg_rules(feed: Path, kind: str) -> list[Any]:
    """Flat fares for the leg rules whose product is of this kind, the highest priority first."""
    areas = stops_of_areas(feed)
    products = {row["fare_product_id"]: row for row in read(feed, "fare_products")}
    steps = []
    for rule in sorted(read(feed, "fare_leg_rules"), key=lambda row: -int(row["rule_priority"] or 0)):
        product = products[rule["fare_product_id"]]
        if not product["fare_product_id"].endswith(kind):
            continue
        when: dict[str, Any] = {
            "entry_stations": areas[rule["from_area_id"]],
            "exit_stations": areas[rule["to_area_id"]],
            "classes": [CLASS_OF_RIDER[product["rider_category_id"]]],
        }
        if group := rule["from_timeframe_group_id"]:
            when["timeframe"] = {"use": group}
        steps.append({"flat": {"fare": fen(product["amount"]), "when": when, "label": product["fare_product_id"]}})
    return steps


def pays(file: Path, card_class: str, entry: int, exit_: int, time: datetime) -> int:
    compiled = compile_tariff(load_tariff(file), date(2022, 3, 30))
    journey = TransitJourneys.of(
        1,
        card_class=CardClass[card_class.upper()],
        entry_station=entry,
        exit_station=exit_,
        entry_time=int((time - EPOCH).total_seconds()),
    )
    prices = price_transit(compiled, journey)
    assert prices.priced[0]
    return int(prices.card_pays[0])


def test_peak_and_offpeak_legs(shared_data: Path, tmp_path: Path, answered: Callable[[int], None]) -> None:
    folder = shared_data / "tariffs/gtfs-fares-v2"
    feed = folder / "nigiri_peak_offpeak_transfer"
    expected = json.loads((folder / "nigiri_expected.json").read_text(encoding="utf-8"))[feed.name]
    files = {}
    kinds = {"app": "oneway-app", "paper-card": "oneway-paper-card", "app-day": "day-app", "app-week": "week-app"}
    for name, kind in (*kinds.items(), ("airport-card", "airport-card")):
        steps = leg_rules(feed, kind)
        used = {step["flat"]["when"]["timeframe"]["use"] for step in steps if "timeframe" in step["flat"]["when"]}
        values = {group: frame for group, frame in timeframes(feed).items() if group in used}
        files[name] = write_tariff(tmp_path, f"nigiri.{name}", "EUR", YEAR, steps, values=values)
    # 00:00 UTC is 02:00 in Berlin, where this feed lives, 06:00 UTC is 08:00.
    legs = [("A", 2), ("A", 8), ("C", 2)]
    compared = 0
    for journey, (first, hour) in zip(expected, legs, strict=True):
        assert journey["journey"].startswith(f"{first}->E")
        time = datetime(2022, 3, 30, hour)
        for product, price in journey["core_leg_prices_eur"].items():
            medium, rider = product.split("/")
            found = pays(files[medium], CLASS_OF_RIDER[rider], "ABCDE".index(first) + 1, 4, time)
            assert found == round(price * 100), (journey["journey"], product)
            compared += 1
        assert pays(files["airport-card"], "adult", 4, 5, time) == round(journey["air_leg"]["airport-card"] * 100)
        compared += 1
    assert compared == 27
    answered(compared)


def test_zone_sets(shared_data: Path, tmp_path: Path, answered: Callable[[int], None]) -> None:
    folder = shared_data / "tariffs/gtfs-fares-v2"
    feed = folder / "nigiri_hsl_zones"
    [expected] = json.loads((folder / "nigiri_expected.json").read_text(encoding="utf-8"))[feed.name]
    areas = [row["area_id"] for row in read(feed, "areas")]
    sets: dict[str, list[int]] = {}
    for row in read(feed, "area_set_elements"):
        sets.setdefault(row["area_set_id"], []).append(areas.index(row["area_id"]))
    rules = {row["contains_exactly_area_set_id"]: row["fare_product_id"] for row in read(feed, "fare_leg_rules")}
    zones = write_table(tmp_path, "zones", {"station": [1, 2, 3, 4], "zone": [0, 1, 2, 3]})
    compared = 0
    for product, price in expected["prices_eur"].items():
        medium, rider = product.split("/")
        amounts = {
            row["fare_product_id"]: fen(row["amount"])
            for row in read(feed, "fare_products")
            if (row["fare_media_id"], row["rider_category_id"] or "any") == (medium, rider)
        }
        pairs = {
            "entry": [min(sets[name]) for name in rules],
            "exit": [max(sets[name]) for name in rules],
            "fare": [amounts[name] for name in rules.values()],
        }
        card_class = CLASS_OF_RIDER.get(rider, "adult")
        tables = {"zones": zones, "pairs": write_table(tmp_path, "pairs", pairs)}
        fares = {"table": "pairs", "directed": False, "columns": {card_class: "fare"}}
        steps = [{"zones": {"zone_of": "zones", "fares": fares}}]
        file = write_tariff(tmp_path, "nigiri.hsl", "EUR", YEAR, steps, tables)
        assert pays(file, card_class, 1, 3, datetime(2022, 3, 30, 2)) == round(price * 100), product
        compared += 1
    assert compared == 8
    answered(compared)
