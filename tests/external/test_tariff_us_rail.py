"""Metrorail, MARC and VRE: every published station pair, at peak, off peak and for seniors.

Goal: 8,190 + 3,958 + 304 pairs × 3 columns come out to the cent. Method: one look-up for the peak time frame,
one for the rest of the week, the senior column by class. The peak is Metrorail's of those years, 5:00 to 9:30
and 15:00 to 19:00 on workdays, by entry; the tables of MARC and VRE say only "peak" and "low".
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rule_files import write_table, write_tariff

from tariffs import CardClass, TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

PAIRS = {"metrorail": 8_190, "marc": 3_958, "vre": 304}
COLUMNS = ("peak_fare", "low_fare", "senior_fare")
PEAK = {
    "at": "entry",
    "windows": [
        {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "05:00", "before": "09:30"},
        {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "15:00", "before": "19:00"},
    ],
}
EPOCH = datetime(1970, 1, 1)
TIMES = {
    "peak_fare": [datetime(2018, 3, 5, 5), datetime(2018, 3, 9, 9, 29, 59), datetime(2018, 3, 7, 18, 59, 59)],
    "low_fare": [datetime(2018, 3, 5, 4, 59, 59), datetime(2018, 3, 5, 9, 30), datetime(2018, 3, 10, 8)],
    "senior_fare": [datetime(2018, 3, 5, 8), datetime(2018, 3, 10, 8)],
}


@pytest.mark.parametrize("railway", PAIRS)
def test_every_published_pair(
    shared_data: Path, tmp_path: Path, railway: str, answered: Callable[[int], None]
) -> None:
    with (shared_data / f"tariffs/us-rail-od/dc_{railway}.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PAIRS[railway]
    # Station names become numbers in the order of their first appearance.
    names = list(dict.fromkeys(row[side] for row in rows for side in ("from_stop_id", "to_stop_id")))
    number = {name: position for position, name in enumerate(names, start=1)}
    entry = [number[row["from_stop_id"]] for row in rows]
    exit_ = [number[row["to_stop_id"]] for row in rows]
    fares = {name: [int(Decimal(row[name]) * 100) for row in rows] for name in COLUMNS}

    table = write_table(tmp_path, "fares", {"entry": entry, "exit": exit_} | fares)
    lookup = {"table": "fares", "directed": True}
    steps = [
        {
            "lookup": lookup
            | {"columns": {"adult": "peak_fare", "elderly": "senior_fare"}, "when": {"timeframe": {"use": "peak"}}}
        },
        {"lookup": lookup | {"columns": {"adult": "low_fare", "elderly": "senior_fare"}}},
    ]
    published = ("2016-01-01", "2019-12-31")
    file = write_tariff(tmp_path, f"dc.{railway}", "USD", published, steps, {"fares": table}, {"peak": PEAK})
    compiled = compile_tariff(load_tariff(file), date(2018, 3, 5))

    right = 0
    for column, times in TIMES.items():
        card_class = CardClass.ELDERLY if column == "senior_fare" else CardClass.ADULT
        agree = np.ones(len(rows), np.bool_)
        for time in times:
            seconds = int((time - EPOCH).total_seconds())
            journeys = TransitJourneys.of(
                len(rows), entry_station=entry, exit_station=exit_, entry_time=seconds, card_class=card_class
            )
            prices = price_transit(compiled, journeys)
            agree &= prices.priced & (prices.card_pays == fares[column])
        right += int(agree.sum())
    assert right == 3 * PAIRS[railway]
    answered(right)
