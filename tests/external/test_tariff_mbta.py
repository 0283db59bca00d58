"""MBTA commuter rail: 121 zone pairs by the rule behind them, not by a table of pairs.

Between zone 1A and zone z a ticket is the "zone z" product; between two other zones it is the "interzone"
product of the number of zones touched. Zone 1A is numbered 0.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from rule_files import write_table, write_tariff

from tariffs import TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external


def zone_number(name: str) -> int:
    return 0 if name == "1a" else int(name)


def test_every_zone_pair(shared_data: Path, tmp_path: Path, answered: Callable[[int], None]) -> None:
    with (shared_data / "tariffs/gtfs-fares-v2/mbta_commuter_rail_zone_pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    products = {row["product"]: int(Decimal(row["amount_usd"]) * 100) for row in rows}
    inner = [products["prod_cr_zone_1a"], *(products[f"prod_cr_zone_{zone}"] for zone in range(1, 11))]
    interzone = [products[f"prod_cr_inter_{count}"] for count in range(1, 11)]
    tables = {
        "stations": write_table(tmp_path, "stations", {"station": range(100, 111), "zone": range(11)}),
        "inner": write_table(tmp_path, "inner", {"entry": [0] * 11, "exit": range(11), "fare": inner}),
    }
    inner_fares = {"table": "inner", "directed": False, "columns": {"all": "fare"}}
    steps = [
        {"zones": {"zone_of": "stations", "fares": inner_fares, "label": "to or from zone 1A"}},
        {"zones": {"zone_of": "stations", "by_count": interzone, "label": "interzone"}},
    ]
    file = write_tariff(tmp_path, "mbta.commuter_rail", "USD", ("2023-07-01", "2024-06-30"), steps, tables)
    compiled = compile_tariff(load_tariff(file), date(2024, 1, 2))
    journeys = TransitJourneys.of(
        len(rows),
        entry_station=[100 + zone_number(row["from_zone"]) for row in rows],
        exit_station=[100 + zone_number(row["to_zone"]) for row in rows],
    )
    prices = price_transit(compiled, journeys)
    assert len(rows) == 121
    assert prices.priced.all()
    np.testing.assert_array_equal(prices.gross, [int(Decimal(row["amount_usd"]) * 100) for row in rows])
    rules = [compiled.rule_names[rule].split(":")[0] for rule in prices.rule]
    assert (rules.count("to or from zone 1A"), rules.count("interzone")) == (21, 100)
    answered(len(rows))
