"""Cheapest combinations, travelcards, rebates and memory shared by two tariffs, against plain Python twins."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transit_state import BASE, FIRST, LAST, LIBRARY, START, assert_same, random_tariffs, tariff_of

from tariffs import (
    NULL,
    TariffError,
    TransitJourneys,
    TransitState,
    load_tariff,
    network_accumulators,
    owner_order,
    price_journeys,
    price_network,
)
from tariffs.errors import ParameterError
from tariffs.schema import Clock
from tariffs.tables import Table
from tariffs.transit.scales import division_by

EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "40"))
ZONES = 4
PEAK = {"timeframe": {"at": "entry", "windows": [{"from": "06:00", "before": "10:00"}]}}
Fares = dict[tuple[int, int], int]


def runs(low: int, high: int, covered: set[int]) -> list[tuple[int, int]]:
    """Runs of the zones low to high that are not covered."""
    left = [zone for zone in range(low, high + 1) if zone not in covered]
    found: list[tuple[int, int]] = []
    for zone in left:
        if found and found[-1][1] == zone - 1:
            found[-1] = (found[-1][0], zone)
        else:
            found.append((zone, zone))
    return found


def beside(fares: Fares, low: int, high: int, covered: set[int]) -> int:
    return min(fares[low, high], sum(fares[run] for run in runs(low, high, covered)))


class London:
    """Random fares that rise with the zones, caps that rise with the outer zone, and a travelcard."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        pairs = [(a, b) for a in range(ZONES) for b in range(a, ZONES)]
        step = rng.integers(20, 120, ZONES)
        self.full: Fares = {(a, b): int(100 + step[a : b + 1].sum()) for a, b in pairs}
        self.low: Fares = {pair: fare * 2 // 3 for pair, fare in self.full.items()}
        self.caps = [
            (0, b, int(300 + 150 * b), int(200 + 90 * b) if rng.random() < 0.7 else -1) for b in range(ZONES)
        ]
        self.held = tuple(sorted(rng.integers(0, ZONES, 2).tolist()))
        columns = list(zip(*self.caps, strict=True))
        entry, exit_ = zip(*pairs, strict=True)
        zones = np.arange(ZONES, dtype=np.int64)
        self.tables = {
            "zones": table("zones", station=[*zones, 10], zone=[*zones, 0], also=[-1] * ZONES + [1]),
            "fares": table(
                "fares", entry=entry, exit=exit_, full=self.full.values(), low=[self.low[pair] for pair in pairs]
            ),
            "caps": table("caps", zone_low=columns[0], zone_high=columns[1], full=columns[2], low=columns[3]),
            "held": table("held", product=[7], zone_low=[self.held[0]], zone_high=[self.held[1]]),
        }
        self.rows = 40
        self.journeys = TransitJourneys.of(
            self.rows,
            card=rng.integers(0, 3, self.rows),
            entry_station=rng.choice([*range(ZONES), 10], self.rows),
            exit_station=rng.choice([*range(ZONES), 10], self.rows),
            entry_time=START + rng.integers(0, 4 * 86_400, self.rows),
            product=rng.choice([NULL, 7], self.rows),
            sequence=np.arange(self.rows),
        )

    def steps(self) -> list[dict[str, Any]]:
        pairs = {"table": "fares", "directed": False}
        extension = {"held": "held", "zone_of": "zones", "fares": "fares"}
        rest = {"timeframe": {"at": "entry", "windows": [{"from": "10:00", "before": "06:00"}]}}
        return [
            {"zones": {"zone_of": "zones", "fares": pairs | {"columns": {"all": "full"}}, "when": PEAK}},
            {"zones": {"zone_of": "zones", "fares": pairs | {"columns": {"all": "low"}}}},
            {"extension": extension | {"column": "full", "when": PEAK}},
            {"extension": extension | {"column": "low", "when": rest}},
            {
                "cheapest": {
                    "name": "day",
                    "period": {"unit": "day"},
                    "reduced": rest,
                    "fares": {"table": "fares", "full": "full", "reduced": "low"},
                    "caps": {"table": "caps", "full": "full", "reduced": "low"},
                }
            },
        ]

    def totals(self) -> dict[tuple[int, int], int]:
        """Per card and day the least over all caps, found once the day is over."""
        legs: dict[tuple[int, int], list[tuple[int, int, set[int], bool]]] = {}
        columns = [getattr(self.journeys, name).tolist() for name in ("card", "entry_time", "entry_station")]
        columns += [self.journeys.exit_station.tolist(), self.journeys.product.tolist()]
        for card, time, *stations, product in zip(*columns, strict=True):
            held = set(range(self.held[0], self.held[1] + 1)) if product == 7 else set()
            ends = [0 if s == 10 and (0 in held or 1 not in held) else 1 if s == 10 else s for s in stations]
            peak = 6 * 3600 <= time % 86_400 < 10 * 3600
            legs.setdefault((card, time // 86_400), []).append((min(ends), max(ends), held, peak))
        options = [(None, 0, 0, False)]
        for low, high, full, reduced in self.caps:
            options += [(set(range(low, high + 1)), full, 0, False), (set(range(low, high + 1)), reduced, 0, True)]
        least: dict[tuple[int, int], int] = {}
        for key, taken in legs.items():
            sums = []
            for zones, price, _, only in options:
                if price < 0:
                    continue
                total = price
                for low, high, held, peak in taken:
                    fares = self.full if peak else self.low
                    alone = beside(fares, low, high, held)
                    covers = zones is not None and not (only and peak)
                    total += min(alone, beside(fares, low, high, held | zones)) if covers and zones else alone
                sums.append(total)
            least[key] = min(sums)
        return least


def table(name: str, **columns: Any) -> Table:
    return Table(name, {key: np.array(list(values), np.int64) for key, values in columns.items()})


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(0, 2**32))
def test_the_cheapest_combination_is_what_the_day_costs_when_it_is_over(seed: int) -> None:
    city = London(seed)
    tariff = tariff_of([(FIRST, LAST, city.steps())], tables=city.tables)
    prices, _ = price_journeys(tariff, city.journeys)
    paid: dict[tuple[int, int], int] = {}
    days = (city.journeys.entry_time // 86_400).tolist()
    for card, day, fare in zip(city.journeys.card.tolist(), days, prices.card_pays.tolist(), strict=True):
        assert fare >= 0
        paid[card, day] = paid.get((card, day), 0) + fare
    assert paid == city.totals()

    # A batch cut at any day gives the same.
    early = city.journeys.entry_time < START + 2 * 86_400
    first, state = price_journeys(tariff, city.journeys.take(early))
    second, _ = price_journeys(tariff, city.journeys.take(~early), state)
    np.testing.assert_array_equal(first.card_pays, prices.card_pays[early])
    np.testing.assert_array_equal(second.card_pays, prices.card_pays[~early])


@settings(deadline=None, max_examples=EXAMPLES)
@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([50, 400, 5_000]))
def test_rebates_equal_their_twin(seed: int, at_least: int, amount: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 60
    journeys = TransitJourneys.of(
        rows,
        card=rng.integers(0, 2, rows),
        gross_fare=rng.choice([100, 250, 400], rows),
        entry_time=START + np.sort(rng.integers(0, 14 * 86_400, rows)),
        sequence=np.arange(rows),
    )
    cap = {"name": "top", "period": {"unit": "day"}, "limits": {"all": 600}, "capping_ride": "remainder"}
    rebate = {"name": "back", "period": {"unit": "week"}, "of": "top", "days_at_least": at_least, "amount": amount}
    tariff = tariff_of([(FIRST, LAST, [BASE[0], {"cap": cap}, {"rebate": rebate}])])
    prices, _ = price_journeys(tariff, journeys)
    expected = []
    spent: dict[Any, int] = {}
    met: dict[Any, set[int]] = {}
    due: dict[int, int] = {}
    for card, time, fare in zip(
        *(getattr(journeys, n).tolist() for n in ("card", "entry_time", "gross_fare")), strict=True
    ):
        day = time // 86_400
        fare = min(fare, 600 - spent.get((card, day), 0))
        spent[card, day] = spent.get((card, day), 0) + fare
        days = met.setdefault((card, (day + 3) // 7), set())
        if spent[card, day] == 600 and day not in days:
            days.add(day)
            due[card] = due.get(card, 0) + {True: amount, False: 0}[len(days) > at_least]
            due[card] += amount * at_least if len(days) == at_least else 0
        off = min(fare, due.get(card, 0))
        due[card] = due.get(card, 0) - off
        expected.append(fare - off)
    assert prices.card_pays.tolist() == expected


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(random_tariffs(), st.integers(0, 2**32), st.integers(1, 3), st.booleans())
def test_parts_of_the_cards_are_as_good_as_one(tariff: Any, seed: int, threads: int, wide: bool) -> None:
    """Keyed card numbers fill int64; many small parts, sorted and unsorted, give what one part gives."""
    rng = np.random.default_rng(seed)
    rows = 400
    cards = rng.integers(-(2**63), 2**63 - 1, 30) if wide else rng.choice([5, 6, 7, 2**40], 30)
    journeys = TransitJourneys.of(
        rows,
        card=rng.choice(cards, rows),
        entry_time=START + rng.integers(0, 20 * 86_400, rows) // 900 * 900,
        exit_time=START + 20 * 86_400,
        gross_fare=rng.choice([0, 200, 700], rows),
        mode=rng.integers(0, 3, rows),
        line=rng.integers(1, 4, rows),
        sequence=rng.permutation(rows),
    )
    one, state = price_journeys(tariff, journeys)
    by_card = journeys.take(np.lexsort((journeys.sequence, journeys.entry_time, journeys.card)))
    size = owner_order.PART_ROWS
    try:
        owner_order.PART_ROWS = 16
        many, after = price_journeys(tariff, journeys, threads=threads)
        in_order, last = price_journeys(tariff, by_card, threads=threads)
    finally:
        owner_order.PART_ROWS = size
    assert_same(one, many)
    assert_same(state, after)
    assert_same(state, last)
    assert_same(in_order, one.take(np.lexsort((journeys.sequence, journeys.entry_time, journeys.card))))


def test_a_bike_ride_is_free_after_a_bus_of_another_tariff() -> None:
    """The bus opens the window, the bike of another file uses it, once; a day later, with the state, as well."""
    bus, bike = (load_tariff(LIBRARY / f"demo.linked_{name}.yaml") for name in ("bus", "bike"))
    assert network_accumulators([bus, bike]) == ("after_bus",)
    minute = 60
    times = START + np.array([0, 30, 60, 300, 391, 0, 100]) * minute
    of_row = np.array([0, 1, 1, 0, 1, 1, 0], np.uint16)
    journeys = TransitJourneys.of(
        7,
        card=[1, 1, 1, 1, 1, 2, 2],
        mode=np.where(of_row == 0, 1, 7),
        entry_time=times,
        exit_time=times,
        duration_s=np.where(of_row == 0, NULL, 1_000),
    )
    prices, state = price_network([bus, bike], of_row, journeys)
    assert prices.card_pays.tolist() == [200, 0, 150, 200, 150, 150, 200]
    names = [t.compiled[0].rule_names[r] for t, r in ((bike, prices.rule[1]), (bus, prices.rule[0]))]
    assert names == ["transfer_window.after_bus", "flat"]
    later = TransitJourneys.of(1, card=2, mode=7, entry_time=times[6] + 90 * minute, duration_s=1_000)
    assert price_network([bus, bike], np.array([1], np.uint16), later, state)[0].card_pays.tolist() == [0]
    alone, _ = price_journeys(bike, journeys.take(of_row == 1))
    assert alone.card_pays.tolist() == [150, 150, 150, 150]


def test_tariffs_of_a_network_agree() -> None:
    limits = {"period": {"unit": "day"}, "limits": {"all": 500}, "capping_ride": "remainder"}
    first = tariff_of([(FIRST, LAST, [BASE[0], {"cap": {"name": "x", "shared": True} | limits}])])
    other = tariff_of([(FIRST, LAST, [BASE[0], {"cap": {"name": "x"} | limits}])])
    assert network_accumulators([first, other]) == ("x", "test.state: x")
    quota = {"name": "x", "shared": True, "period": {"unit": "day"}, "quota": {"rides": 1}, "per_10000": 0}
    contrary = tariff_of([(FIRST, LAST, [BASE[0], {"pass": quota | {"rounding": "down"}}])])
    nobody = TransitJourneys.zeros(0)
    with pytest.raises(ParameterError, match="it holds cap before and pass later"):
        price_network([first, contrary], np.zeros(0, np.uint16), nobody)
    shifted = tariff_of([(FIRST, LAST, [BASE[0]])], Clock(day_starts="03:00"))
    with pytest.raises(TariffError, match="need one clock"):
        price_network([first, shifted], np.zeros(0, np.uint16), nobody)
    both = TransitJourneys.of(2, card=1, entry_time=START + np.array([0, 60]), gross_fare=400)
    shared, _ = price_network([first, first], np.array([0, 1], np.uint16), both)
    apart, _ = price_network([first, other], np.array([0, 1], np.uint16), both, TransitState.zeros(0))
    assert (shared.card_pays.tolist(), apart.card_pays.tolist()) == ([400, 100], [400, 400])


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            {"rebate": {"name": "r", "period": {"unit": "week"}, "of": "y", "days_at_least": 1, "amount": 1}},
            "name a cap",
        ),
        ({"rebate": {"name": "r", "period": {"unit": "week"}, "of": "x", "days_at_least": 1}}, "amount or by_zones"),
    ],
)
def test_rebates_that_say_too_little_are_refused(step: dict[str, Any], said: str) -> None:
    cap = {"name": "x", "period": {"unit": "day"}, "limits": {"all": 1}, "capping_ride": "remainder"}
    with pytest.raises(ParameterError, match=said):
        _ = tariff_of([(FIRST, LAST, [BASE[0], {"cap": cap}, step])]).compiled


@given(st.integers(1, 10**9), st.integers(0, 2**31 - 1))
def test_division_by_a_multiplier_is_exact(divisor: int, number: int) -> None:
    multiplier, shift = division_by(divisor)
    assert number * multiplier < 2**63
    for near in {number, number // divisor * divisor, max(number // divisor * divisor - 1, 0)}:
        assert near * multiplier >> shift == near // divisor
