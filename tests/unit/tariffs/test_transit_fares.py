"""Full fares: bands by class, zones, surcharges, day and night rates, and what conditions make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_cases import TABLES, Steps, compiled_steps, moment, priced_as_twin, random_journeys

from tariffs import NULL, TransitJourneys, TransitPrices
from tariffs.errors import ParameterError
from tariffs.transit.chunk import Chunk, new_scratch

NIGHT = {"at": "entry", "windows": [{"from": "23:00", "before": "05:00"}]}
MODES = st.sampled_from(["half_up", "half_even", "down", "up"])


def test_bands_with_a_fare_per_class() -> None:
    bands = [{"up_to": 3_200, "fares": {"adult": 59, "elderly": 15}}, {"fares": {"adult": 69, "elderly": 22}}]
    steps = [{"bands": {"of": "distance_m", "mode": "step", "bands": bands}}]
    journeys = TransitJourneys.of(5, distance_m=[3_200, 3_201, 3_200, 3_201, 1], card_class=[0, 0, 2, 2, 1])
    prices = priced_as_twin(steps, journeys)
    assert prices.gross.tolist() == [59, 69, 15, 22, 0]
    assert prices.priced.tolist() == [True] * 4 + [False]


def test_bands_with_a_fare_per_class_go_on_beyond() -> None:
    bands = [{"up_to": 1_000, "fares": {"half": 50, "adult": 100}}]
    beyond = {"per_started": 500, "add": 10}
    steps = [{"bands": {"of": "distance_m", "mode": "step", "bands": bands, "beyond": beyond}}]
    journeys = TransitJourneys.of(4, distance_m=[1_000, 1_001, 1_500, 1_501], card_class=[0, 0, 6, 6])
    assert priced_as_twin(steps, journeys).gross.tolist() == [100, 110, 60, 70]


PARKING_PERIODS = [
    {"from": "07:00", "before": "19:00", "blocks": [
        {"up_to": 3_600, "per_started": 900, "add": 250}, {"per_started": 900, "add": 375}]},
    {"from": "19:00", "before": "07:00", "blocks": [{"per_started": 7_200, "add": 100}]},
]  # fmt: skip


def test_day_and_night_rates_of_a_stay() -> None:
    """Two quarter hours before 19:00, three started two-hour blocks to 00:30; a whole day has both in full."""
    steps = [{"timed_blocks": {"free": 300, "periods": PARKING_PERIODS}}]
    entry = [moment("2026-03-02T18:30")] * 4 + [NULL]
    exit_ = [entry[0] + 300, entry[0] + 301, entry[0] + 6 * 3_600, entry[0] + 86_400, entry[0]]
    prices = priced_as_twin(steps, TransitJourneys.of(5, entry_time=entry, exit_time=exit_))
    assert prices.gross.tolist() == [0, 250, 2 * 250 + 3 * 100, 4 * 250 + 44 * 375 + 6 * 100, 0]
    assert prices.priced.tolist() == [True] * 4 + [False]


def test_a_taxi_meter_with_waiting_time_and_night_factor() -> None:
    """13.00 to 3 km, then 2.30 a km, 20 % more at night, 2.30 for each started 5 minutes of waiting, 1.00 fuel."""
    steps: Steps = [
        {"bands": {"of": "distance_m", "mode": "marginal", "bands": [
            {"up_to": 3_000, "per_started": 3_000, "add": 1_300}, {"per_started": 1_000, "add": 230}]}},
        {"surcharge": {"per_10000": 2_000, "rounding": "half_up", "when": {"timeframe": NIGHT}}},
        {"surcharge": {"of": "duration_s", "blocks": [{"per_started": 300, "add": 230}]}},
        {"surcharge": {"add": 100}},
        {"round": {"to": 100, "mode": "half_up"}},
    ]  # fmt: skip
    day, night = moment("2026-03-02T12:00"), moment("2026-03-02T23:30")
    journeys = TransitJourneys.of(
        4, distance_m=[2_000, 5_001, 5_001, NULL], duration_s=[0, 301, NULL, 0], entry_time=[day, day, night, day]
    )
    prices = priced_as_twin(steps, journeys)
    assert prices.gross.tolist() == [1_400, 1_300 + 690 + 460 + 100, 1_990 * 12 // 10 + 100, 0]
    assert prices.priced.tolist() == [True, True, True, False]


def test_peak_factor_by_exit() -> None:
    peak = {"at": "exit", "windows": [{"from": "17:00", "before": "19:00"}]}
    steps = [{"flat": {"fare": 333}}, {"surcharge": {"per_10000": 2_000, "rounding": "half_up", "when": {
        "timeframe": peak}}}]  # fmt: skip
    times = [moment("2026-03-02T16:59:59"), moment("2026-03-02T17:00"), NULL]
    assert priced_as_twin(steps, TransitJourneys.of(3, exit_time=times)).gross.tolist() == [333, 400, 333]


def test_same_station_exit_and_overtime() -> None:
    """Out again within 15 minutes is free, later costs the lowest fare; four hours inside cost 5.00 more."""
    steps: Steps = [
        {
            "flat": {
                "fare": 0,
                "label": "same station",
                "when": {"same_station": True, "duration_s": {"at_most": 900}},
            }
        },
        {"flat": {"fare": 200, "when": {"same_station": True}}},
        {"lookup": {"table": "pairs", "directed": False, "columns": {"all": "fare"}}},
        {"surcharge": {"add": 500, "label": "overtime", "when": {"duration_s": {"at_least": 14_401}}}},
        {"max_fare": {"fare": 900, "discounts": False}},
    ]
    journeys = TransitJourneys.of(
        6,
        entry_station=[1, 1, 1, 1, 1, 1],
        exit_station=[1, 1, 2, 2, 1, NULL],
        duration_s=[900, 901, 14_400, 14_401, 14_401, NULL],
        incomplete=[0, 0, 0, 0, 0, 1],
    )
    prices = priced_as_twin(steps, journeys)
    assert prices.gross.tolist() == [0, 200, 300, 800, 700, 900]
    names = [compiled_steps(steps)[0].rule_names[rule] for rule in prices.rule]
    assert names == [
        "same station: flat",
        "flat",
        "lookup.pairs",
        "overtime: surcharge",
        "overtime: surcharge",
        "max_fare",
    ]


def test_a_bike_keeps_its_free_minutes_longer_after_a_bus() -> None:
    blocks = {"charge_from": "start", "blocks": [{"per_started": 3_600, "add": 100}]}
    steps = [
        {"duration_blocks": blocks | {"free": 5_400, "when": {"transfer": True}}},
        {"duration_blocks": blocks | {"free": 3_600}},
    ]
    journeys = TransitJourneys.of(4, duration_s=[3_601, 3_601, 5_400, 5_401], transfer=[0, 1, 1, 1])
    assert priced_as_twin(steps, journeys).gross.tolist() == [200, 0, 0, 200]


def test_a_share_is_raised_to_its_least_amount_but_never_above_the_fare() -> None:
    """MTR 2026: a fifth of the adult fare, at least 2.00."""
    terms = {"elderly": {"per_10000": 2_000, "at_least": 200, "final": True}}
    steps = [
        {"gross": {"source": "terminal"}},
        {"concession": {"classes": terms, "others": "full_fare", "rounding": "half_up", "to": 10}},
    ]
    journeys = TransitJourneys.of(4, gross_fare=[150, 1_000, 1_025, 1_535], card_class=2)
    assert priced_as_twin(steps, journeys).card_pays.tolist() == [150, 200, 210, 310]


def test_a_share_is_rounded_once() -> None:
    """30 % of 1.49 is 0.447, to the jiao 0.4; by way of 0.45 it would be 0.5."""
    steps = [{"gross": {"source": "terminal"}}, {"factor": {"per_10000": 3_000, "rounding": "half_up", "to": 10}}]
    journeys = TransitJourneys.of(3, gross_fare=[1_499, 149, 4])
    assert priced_as_twin(steps, journeys).card_pays.tolist() == [450, 40, 0]


def test_only_the_condition_of_max_fare_limits_it() -> None:
    """A calendar that ends too early refuses a price, but not the price of an incomplete journey."""
    year = {2026: {"holidays": [], "workdays": []}}
    frame = {"at": "entry", "calendar": year, "windows": [{"days": ["workday"], "from": "00:00", "before": "24:00"}]}
    steps = [
        {"flat": {"fare": 200, "when": {"timeframe": frame}}},
        {"flat": {"fare": 300}},
        {"max_fare": {"fare": 900, "discounts": True, "when": {"lines": [1]}}},
    ]
    time = moment("2027-01-04T12:00")
    journeys = TransitJourneys.of(3, entry_time=time, incomplete=[0, 1, 1], line=[1, 1, 2])
    prices = priced_as_twin(steps, journeys)
    assert (prices.gross.tolist(), prices.priced.tolist()) == ([0, 900, 0], [False, True, False])


@pytest.mark.parametrize("directed", [True, False])
def test_an_incomplete_journey_costs_the_dearest_of_its_station(directed: bool) -> None:
    highest = {"table": "pairs", "directed": directed, "column": "fare"}
    steps = [{"flat": {"fare": 1}}, {"max_fare": {"fare": 900, "highest": highest, "discounts": True}}]
    entry, exit_ = [1, 2, 3, NULL, NULL, NULL, 1], [NULL, NULL, NULL, 1, 2, 9, 2]
    journeys = TransitJourneys.of(7, entry_station=entry, exit_station=exit_, incomplete=[1] * 6 + [0])
    expected = [500, 400, 0, 900, 300, 900, 1] if directed else [500, 400, 500, 500, 400, 900, 1]
    assert priced_as_twin(steps, journeys).gross.tolist() == expected


def test_zones_are_noted_for_caps() -> None:
    steps = [{"zones": {"zones_between": {"table": "pairs", "directed": False}}}, {"flat": {"fare": 1}}]
    for step, expected in ((steps[0], [(0, 2), (1, 1), (-1, -1)]), ({"zones": {"zone_of": "zones"}}, [
        (0, 2), (0, 1), (-1, -1)])):  # fmt: skip
        compiled, _ = compiled_steps([step, steps[1]])
        journeys = TransitJourneys.of(3, entry_station=[3, 2, 2], exit_station=[1, 1, 9])
        chunk = Chunk.over(journeys, TransitPrices.zeros(3), slice(0, 3))
        for operation in compiled.transit_program().full_fare:
            operation.apply(chunk)
        assert list(zip(chunk.zone_low.tolist(), chunk.zone_high.tolist(), strict=True)) == expected
        assert chunk.priced.all()


def test_a_chunk_used_again_begins_like_a_new_one() -> None:
    """Scratch columns have the same values whether they are fresh or cleared; nothing of the rows before is left."""
    journeys, fresh, used = TransitJourneys.of(3), new_scratch(3), new_scratch(5)
    before = TransitPrices.zeros(3)
    columns = {**used, **{name: getattr(before, name) for name in ("gross", "card_pays", "rule", "priced")}}
    for column in columns.values():
        column[:] = np.where(column == 0, 1, 0)
    Chunk.over(journeys, before, slice(0, 3), used).clear()
    for name, column in fresh.items():
        np.testing.assert_array_equal(used[name][:3], column, err_msg=name)
    for name in TransitPrices.SPECS:
        assert not getattr(before, name).any(), name


def test_more_zones_than_listed_are_not_covered() -> None:
    steps = [{"zones": {"zone_of": "zones", "by_count": [200, 300]}}]
    journeys = TransitJourneys.of(4, entry_station=[1, 1, 1, 1], exit_station=[1, 2, 3, 4])
    prices = priced_as_twin(steps, journeys)
    assert (prices.gross.tolist(), prices.priced.tolist()) == ([200, 300, 0, 0], [True, True, False, False])


@st.composite
def zone_steps(draw: st.DrawFn) -> dict[str, Any]:
    source: dict[str, Any] = draw(
        st.sampled_from([{"zone_of": "zones"}, {"zones_between": {"table": "pairs", "directed": True}}])
    )
    columns = draw(st.sampled_from([{"all": "fare"}, {"adult": "fare", "elderly": "fare"}]))
    pairs = {"fares": {"table": "zone_fares", "directed": draw(st.booleans()), "columns": columns}}
    return {"zones": source | draw(st.sampled_from([pairs, {"by_count": [200, 300]}, {}]))}


@st.composite
def surcharges(draw: st.DrawFn) -> dict[str, Any]:
    blocks = [{"up_to": 500, "per_started": 100, "add": 7}, {"per_started": 60, "add": draw(st.integers(0, 90))}]
    ways: list[dict[str, Any]] = [
        {"add": draw(st.integers(0, 500))},
        {"per_10000": draw(st.integers(0, 30_000)), "rounding": draw(MODES), "to": draw(st.sampled_from([1, 50]))},
        {"of": draw(st.sampled_from(["distance_m", "duration_s", "gross_fare"])), "blocks": blocks},
    ]
    return {"surcharge": draw(st.sampled_from(ways))}


@settings(deadline=None)
@given(st.lists(zone_steps() | surcharges(), max_size=4), st.integers(0, 2**32))
def test_any_zones_and_surcharges_equal_their_twin(more: list[dict[str, Any]], seed: int) -> None:
    bands = [{"up_to": 3_000, "fares": {"student": 50, "elderly": 20}}, {"fares": {"student": 80, "elderly": 0}}]
    by_class = {"of": "distance_m", "mode": "step", "bands": bands}
    first = {"zones": {"zone_of": "zones", "by_count": [200]}}
    priced_as_twin(
        [first, *more, {"bands": by_class}, {"factor": {"per_10000": 777, "rounding": "up"}}],
        random_journeys(seed, 40),
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 86_399), min_size=2, max_size=4, unique=True).map(sorted),
    st.integers(0, 7_200),
    st.integers(0, 2**32),
)
def test_any_timed_blocks_equal_their_twin(bounds: list[int], free: int, seed: int) -> None:
    clocks = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in bounds]
    periods = [
        {"from": start, "before": end, "blocks": [{"up_to": 900, "per_started": 60, "add": 3}, {
            "per_started": 700 + index, "add": 11}]}
        for index, (start, end) in enumerate(zip(clocks, [*clocks[1:], clocks[0]], strict=True))
    ]  # fmt: skip
    prices = priced_as_twin([{"timed_blocks": {"free": free, "periods": periods}}], random_journeys(seed, 30))
    assert (prices.gross >= 0).all()


BAND = {"of": "distance_m", "mode": "step"}
PERIOD = {"blocks": [{"per_started": 60, "add": 1}]}


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"surcharge": {}}, "surcharge.add"),
        ({"surcharge": {"add": 1, "per_10000": 1, "rounding": "up"}}, "surcharge.add"),
        ({"surcharge": {"per_10000": 1}}, "surcharge.rounding"),
        ({"surcharge": {"add": 1, "of": "distance_m"}}, "surcharge.of"),
        ({"surcharge": {"add": 1, "to": 10}}, "surcharge.to"),
        ({"surcharge": {"of": "distance_m", "blocks": [{"up_to": 5, "per_started": 1, "add": 1}]}},
         "surcharge.blocks[0].up_to"),
        ({"zones": {"by_count": [1]}}, "zones.zone_of"),
        ({"zones": {"zone_of": "pairs"}}, "zones.columns"),
        ({"zones": {"zone_of": "zones", "zones_between": {"table": "pairs", "directed": True}}}, "zones.zone_of"),
        ({"zones": {"zone_of": "zones", "by_count": [1], "fares": {
            "table": "zone_fares", "directed": False, "columns": {"all": "fare"}}}}, "zones.by_count"),
        ({"bands": BAND | {"bands": [{"up_to": 5, "fares": {"adult": 1}}, {"fare": 2}]}}, "bands.bands[1].fares"),
        ({"bands": BAND | {"bands": [{"up_to": 5, "fares": {"adult": 1}}, {"fares": {"half": 2}}]}},
         "bands.bands[1].fares"),
        ({"bands": BAND | {"classes": ["adult"], "bands": [{"fares": {"adult": 1}}]}}, "bands.classes"),
        ({"timed_blocks": {"free": 0, "periods": [
            {"from": "07:00", "before": "19:00"} | PERIOD, {"from": "20:00", "before": "07:00"} | PERIOD]}},
         "timed_blocks.periods[0].before"),
        ({"timed_blocks": {"free": 0, "periods": [
            {"from": "07:00", "before": "06:00"} | PERIOD, {"from": "06:00", "before": "07:00"} | PERIOD,
            {"from": "07:00", "before": "06:00"} | PERIOD, {"from": "06:00", "before": "07:00"} | PERIOD]}},
         "timed_blocks.periods"),
        ({"concession": {"classes": {"half": {"fare": 1, "at_least": 2, "final": True}}, "others": "full_fare",
                         "rounding": "up"}}, "concession.classes.half.at_least"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(step: dict[str, Any], path: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        compiled_steps([{"flat": {"fare": 1}}, step])
    assert refusal.value.path == f"steps[1].{path}"
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("columns", "value"),
    [
        ({"station": [1, 1], "zone": [0, 1]}, 1),
        ({"station": [1, 2], "zone": [0, -1]}, -1),
        ({"station": [], "zone": []}, "bad"),
    ],
)
def test_bad_zone_tables_are_refused(monkeypatch: pytest.MonkeyPatch, columns: Any, value: object) -> None:
    bad = type(TABLES["zones"])("bad", {name: np.array(v, np.int64) for name, v in columns.items()})
    monkeypatch.setitem(TABLES, "bad", bad)
    with pytest.raises(ParameterError) as refusal:
        compiled_steps([{"zones": {"zone_of": "bad", "by_count": [1]}}])
    assert (refusal.value.path, refusal.value.value) == ("steps[0].zones.zone_of", value)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True).map(sorted),
    st.sampled_from([1, 7, 100, 2_000_000]),
    st.booleans(),
)
def test_any_number_of_bands_equals_its_twin(steps_up: list[int], every: int, beyond: bool) -> None:
    """Edges with and without a common measure, few and many, to the unit; null and absurd quantities too."""
    edges = [edge * every + (every == 7) for edge in steps_up]
    bands: list[dict[str, int]] = [{"up_to": edge, "fare": 10 * i} for i, edge in enumerate(edges, start=1)]
    more: dict[str, Any] = {"beyond": {"per_started": 5, "add": 3}} if beyond else {}
    if not beyond:
        bands.append({"fare": 777})
    around = [edge + nearby for edge in edges for nearby in (-1, 0, 1)]
    absurd = [NULL, -1, 0, 10**9, 10**9 + 1, np.iinfo(np.int64).max]
    journeys = TransitJourneys.of(len(around) + len(absurd), distance_m=[*around, *absurd])
    priced_as_twin([{"bands": {"of": "distance_m", "mode": "step", "bands": bands} | more}], journeys)
