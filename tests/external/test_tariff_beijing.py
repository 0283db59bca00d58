"""Beijing subway band edges, to the metre, against a rule file nobody here wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rule_files import write_tariff

import tariffs
from tariffs import TransitJourneys, compile_tariff, load_tariff, price_transit

pytestmark = pytest.mark.external

LIBRARY = Path(tariffs.__file__).parent / "library"
# The days of 2026 that the test touches: Spring Festival and the Saturday worked for it (调休).
CALENDAR_2026 = {2026: {"holidays": ["@2026-02-17"], "workdays": ["@2026-02-28"]}}
BEFORE_SEVEN = {"from": "00:00", "before": "07:00"}


def seconds(*moment: int) -> int:
    return int((datetime(*moment) - datetime(1970, 1, 1)).total_seconds())  # type: ignore[arg-type]


NOON = seconds(2026, 3, 2, 12)
EARLY = seconds(2026, 3, 2, 6, 59, 59)
EARLY_MADE_UP = seconds(2026, 2, 28, 6, 59, 59)
SEVEN = seconds(2026, 3, 2, 7)
HOLIDAY = seconds(2026, 2, 17, 6, 30)


def test_band_edges(shared_data: Path, answered: Callable[[int], None]) -> None:
    text = (shared_data / "tariffs/beijing-taipei-rules/beijing_fare_rules.json5").read_text(encoding="utf-8")
    main_network = text.split("name:")[1]
    bands = re.findall(r"\{fare: (\d+)(?:, start: (\d+))?(?:, end: (\d+))?\}", main_network)
    assert len(bands) == 8
    distances, fares = [], []
    for fare, start, end in bands:
        # The file's last band is open because the network ends there; the published rule goes on by 20 km.
        edges = (int(start or 0), int(end or int(start) + 19_999))
        distances += edges
        fares += [int(fare) * 100] * 2
    compiled = compile_tariff(load_tariff(LIBRARY / "beijing.subway.yaml"), date(2026, 3, 2))
    prices = price_transit(compiled, TransitJourneys.of(len(distances), distance_m=distances))
    assert {6_099, 6_100, 12_099, 12_100, 32_099, 32_100, 92_100} <= set(distances)
    np.testing.assert_array_equal(prices.gross, fares)
    assert prices.priced.all()
    answered(len(fares))


def test_the_whole_rule_file(shared_data: Path, tmp_path: Path, answered: Callable[[int], None]) -> None:
    """All five groups of the rule file: main network, its off-peak half price, tram and both airport lines."""
    text = (shared_data / "tariffs/beijing-taipei-rules/beijing_fare_rules.json5").read_text(encoding="utf-8")
    groups = {part.split('"')[1]: part for part in re.split(r"\n\s+name: ", text)[1:]}
    network, tram, airport, daxing = "大路网", "有轨电车", "首都机场线", "大兴机场线"
    edges = {name: band_edges(groups[name]) for name in (network, tram, daxing)}
    lines = {tram: 101, daxing: 103}
    stations = re.findall(r'"([^"]+)"', groups["大路网 - 低峰优惠"].split("starting_stations")[1])
    assert (len(stations), len(edges[network]), groups[airport].count("fare: 25")) == (25, 8, 1)
    numbers = list(range(1, len(stations) + 1))

    def bands(name: str) -> dict[str, Any]:
        rows = [{"up_to": last, "fare": fare} if last else {"fare": fare} for _, last, fare in edges[name]]
        return {"of": "distance_m", "mode": "step", "bands": rows}

    steps = [
        *({"bands": bands(name) | {"when": {"lines": [line]}}} for name, line in lines.items()),
        {"flat": {"fare": 2500, "when": {"lines": [102]}}},
        {"bands": bands(network) | {"when": {"lines": [1]}}},
        {
            "factor": {
                "per_10000": 5000,
                "rounding": "half_up",
                "when": {"lines": [1], "entry_stations": numbers, "timeframe": {"use": "early"}},
            }
        },
    ]
    days = CALENDAR_2026
    early = {"at": "entry", "calendar": {"use": "days"}, "windows": [{"days": ["workday"]} | BEFORE_SEVEN]}
    file = write_tariff(
        tmp_path, "beijing.whole", "CNY", ("2026-01-01", "2026-12-31"), steps, values={"days": days, "early": early}
    )
    compiled = compile_tariff(load_tariff(file), date(2026, 3, 2))

    rows: list[tuple[int, int, int, int]] = []
    expected: list[int] = []
    for line, name in ((1, network), (101, tram), (103, daxing)):
        for first, last, fare in edges[name]:
            rows += [(line, 99, first, NOON), (line, 99, last or first + 19_999, NOON)]
            expected += [fare] * 2
    rows.append((102, 99, 30_000, NOON))
    expected.append(2500)
    for station in numbers:
        for first, last, fare in edges[network]:
            for time, paid in ((EARLY, fare // 2), (EARLY_MADE_UP, fare // 2), (SEVEN, fare), (HOLIDAY, fare)):
                rows += [(1, station, first, time), (1, station, last or first + 19_999, time)]
                expected += [paid] * 2
    line_, station_, distance, time_ = np.array(rows).T
    journeys = TransitJourneys.of(
        len(rows), line=line_, entry_station=station_, distance_m=distance, entry_time=time_
    )
    prices = price_transit(compiled, journeys)
    assert prices.priced.all()
    np.testing.assert_array_equal(prices.card_pays, expected)
    answered(len(rows))


def band_edges(group: str) -> list[tuple[int, int | None, int]]:
    """First metre, last metre (None = open) and fare in fen of each band of a group."""
    found = re.findall(r"\{fare: (\d+)(?:, start: (\d+))?(?:, end: (\d+))?\}", group)
    return [(int(start or 0), int(end) if end else None, int(fare) * 100) for fare, start, end in found]
