"""Journeys under steps that remember, against their plain-Python twin, and the laws that hold for all of them."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import transit_state_reference as reference

import tariffs
from tariffs import (
    NULL,
    Tariff,
    TariffFileError,
    TariffStateError,
    TransitJourneys,
    TransitPrices,
    TransitState,
    accumulator_id,
    load_tariff,
    price_journeys,
    price_transit,
    run_inline_tests,
)
from tariffs.columns import Columns
from tariffs.errors import ParameterError
from tariffs.schema import WEEKDAYS, Clock, Late
from tariffs.tables import Table
from tariffs.tariff import Segment
from tariffs.transit.accumulators import refuse_renamed
from tariffs.vocabulary import STEPS_OF_KIND

LIBRARY = Path(tariffs.__file__).parent / "library"
FIRST, MIDDLE, LAST = date(2026, 1, 28), date(2026, 2, 8), date(2026, 3, 9)
START = (FIRST - date(1970, 1, 1)).days * 86_400
SPAN_S = ((LAST - FIRST).days + 1) * 86_400
EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "40"))
MODES = st.sampled_from(["half_up", "half_even", "down", "up"])
BASE: list[dict[str, Any]] = [
    {"gross": {"source": "terminal"}},
    {
        "concession": {
            "classes": {"student": {"per_10000": 5000, "final": False}, "none": {"per_10000": 10000, "final": True}},
            "others": "full_fare",
            "rounding": "half_up",
        }
    },
]


def tariff_of(
    segments: list[tuple[date, date, list[dict[str, Any]]]],
    clock: Clock | None = None,
    tables: dict[str, Table] | None = None,
) -> Tariff:
    """A tariff in memory, its steps written as in a file."""
    registry = STEPS_OF_KIND["transit"]
    dated = tuple(
        Segment(first, last, tuple((n, registry[n].model_validate(p)) for step in steps for n, p in step.items()))
        for first, last, steps in segments
    )
    return Tariff(
        id="test.state",
        kind="transit",
        title="",
        source="",
        currency="CNY",
        policy="engine_priced",
        late=Late(grace_days=0, after_grace="reprice"),
        clock=clock or Clock(),
        values={},
        tables=tables or {},
        segments=dated,
        tests=(),
        file=Path("test.yaml"),
        sha256="",
    )


def one_segment(steps: list[dict[str, Any]], clock: Clock | None = None) -> Tariff:
    return tariff_of([(FIRST, LAST, [*BASE, *steps])], clock)


def random_journeys(seed: int, length: int, cards: int = 4) -> TransitJourneys:
    """A few cards with many journeys, minutes to days apart; some without an entry, some carried forward."""
    rng = np.random.default_rng(seed)
    grain = rng.choice([60, 900, 3600])
    entry = START + rng.integers(0, SPAN_S // grain, length) * grain
    exit_ = entry + rng.integers(0, 4, length) * 600
    counted = np.where(rng.random(length) < 0.05, entry + rng.integers(1, 200_000, length), NULL)
    entry = np.where(rng.random(length) < 0.1, NULL, entry)
    exit_ = np.where((rng.random(length) < 0.1) & (entry != NULL), NULL, exit_)
    return TransitJourneys.of(
        length,
        mode=rng.integers(0, 3, length),
        line=rng.integers(1, 4, length),
        entry_time=entry,
        exit_time=exit_,
        card_class=rng.choice([0, 0, 0, 1, 2, 8], length),
        gross_fare=rng.choice([0, 1, 100, 199, 200, 333, 500, 1_250], length),
        card=rng.integers(-1, cards - 1, length),
        sequence=rng.permutation(length),
        product=rng.choice([NULL, NULL, 7], length),
        counted_at=counted,
    )


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    return [{name: getattr(columns, name)[i].item() for name in columns.SPECS} for i in range(len(columns))]


def assert_same(first: Columns, second: Columns) -> None:
    for name in first.SPECS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def rule_names(tariff: Tariff, prices: TransitPrices) -> list[str]:
    return [tariff.compiled[s].rule_names[r] for s, r in zip(prices.segment, prices.rule, strict=True)]


def when_of(draw: st.DrawFn) -> dict[str, Any] | None:
    lists = st.sets(st.integers(0, 2), min_size=1).map(sorted)
    options = st.fixed_dictionaries({}, optional={"modes": lists, "classes": st.just(["adult", "student"])})
    return draw(options) or None


PERIODS = st.sampled_from(
    [
        {"unit": "day"},
        {"unit": "week"},
        {"unit": "calendar_month"},
        {"unit": "calendar_year"},
        {"unit": "rolling", "days": 3, "rolling_from": "day"},
        {"unit": "rolling", "days": 2, "rolling_from": "tap"},
    ]
)


@st.composite
def transfer_windows(draw: st.DrawFn) -> dict[str, Any]:
    pay = draw(st.sampled_from(["free", "difference", "minus", "per_10000"]))
    step: dict[str, Any] = {
        "from_legs": when_of(draw) or "all",
        "to_legs": when_of(draw) or "all",
        "classes": draw(st.sampled_from([["adult"], ["adult", "student", "elderly"]])),
        "window_s": draw(st.sampled_from([600, 3600, 5400, 90_000])),
        "inclusive": draw(st.booleans()),
        "from_tap": draw(st.sampled_from(["first", "last"])),
        "measure": "_to_".join(draw(st.sampled_from(["departure", "arrival"])) for _ in range(2)),
        "between": draw(st.sampled_from(["any", "other_line", "other_mode"])),
        "transfers_at_most": draw(st.sampled_from([1, 2, "unlimited"])),
        "extend_on_step_up": draw(st.booleans()),
        "pay": pay,
    }
    for part in ("from_legs", "to_legs"):
        if isinstance(step[part], dict):
            step[part].pop("classes", None)
            step[part] = step[part] or "all"
    if pay == "minus":
        step |= {"minus": draw(st.integers(0, 400)), "floor": draw(st.integers(0, 200))}
    if pay == "per_10000":
        step |= {"per_10000": draw(st.integers(0, 10_000)), "rounding": draw(MODES)}
    return {"transfer_window": step}


@st.composite
def caps(draw: st.DrawFn) -> dict[str, Any]:
    limits = st.sampled_from([{"all": 700}, {"adult": 1_000, "student": 450}, {"all": 1_800, "elderly": 0}])
    ride = draw(st.sampled_from(["remainder", "full_fare"]))
    return {"cap": {"period": draw(PERIODS), "limits": draw(limits), "capping_ride": ride}}


@st.composite
def cumulatives(draw: st.DrawFn) -> dict[str, Any]:
    basis = draw(st.sampled_from(["gross", "paid", "journeys"]))
    top = 9 if basis == "journeys" else 3_000
    starts = [0, *draw(st.lists(st.integers(1, top), max_size=3, unique=True).map(sorted))]
    bands = [{"start": start, "per_10000": draw(st.integers(0, 10_000))} for start in starts]
    mode = "next_ride" if basis == "journeys" else draw(st.sampled_from(["next_ride", "excess_part"]))
    rest = {"rounding": draw(MODES), "to": draw(st.sampled_from([1, 1, 5, 10]))}
    return {"cumulative": {"period": draw(PERIODS), "basis": basis, "mode": mode, "bands": bands} | rest}


@st.composite
def passes(draw: st.DrawFn) -> dict[str, Any]:
    quota = draw(st.sampled_from(["unlimited", {"rides": 3}, {"days": 2}]))
    ratio = {"per_10000": draw(st.sampled_from([0, 0, 5_001])), "rounding": draw(MODES)}
    return {"pass": {"period": draw(PERIODS), "quota": quota} | ratio | {"when": {"products": [7]}}}


@st.composite
def remembering_steps(draw: st.DrawFn, prefix: str = "a") -> list[dict[str, Any]]:
    """One to three named accumulating steps, some under a condition."""
    steps = []
    for index in range(draw(st.integers(1, 3))):
        [(name, parameters)] = draw(st.one_of(transfer_windows(), caps(), cumulatives(), passes())).items()
        condition = when_of(draw) if name in ("cap", "cumulative") else None
        steps.append({name: parameters | {"name": f"{prefix}{index}"} | ({"when": condition} if condition else {})})
    return steps


REMAINDER = {"capping_ride": "remainder"}
ONE_DAY: dict[str, Any] = {"name": "x", "period": {"unit": "day"}, "rounding": "down"}
CUMULATIVE = ONE_DAY | {"basis": "paid", "mode": "next_ride", "bands": [{"start": 0, "per_10000": 1}]}
PASS = ONE_DAY | {"quota": "unlimited", "per_10000": 0}
TRANSFER: dict[str, Any] = {
    "name": "x",
    "from_legs": "all",
    "to_legs": "all",
    "classes": ["adult"],
    "window_s": 1,
    "inclusive": True,
    "from_tap": "first",
    "measure": "departure_to_departure",
    "between": "any",
    "transfers_at_most": 1,
    "extend_on_step_up": False,
    "pay": "free",
}
CLOCKS = st.builds(
    Clock, day_starts=st.sampled_from(["00:00", "04:30", "23:59"]), week_starts=st.sampled_from(WEEKDAYS)
)


@st.composite
def random_tariffs(draw: st.DrawFn) -> Tariff:
    """One segment, or two of which the second keeps, drops or replaces steps of the first."""
    steps = draw(remembering_steps())
    if draw(st.booleans()):
        return tariff_of([(FIRST, LAST, [*BASE, *steps])], draw(CLOCKS))
    later = draw(st.sampled_from([[], steps[:1], steps])) or draw(remembering_steps("b"))
    segments = [(FIRST, MIDDLE, [*BASE, *steps]), (date(2026, 2, 9), LAST, [*BASE, *later])]
    return tariff_of(segments, draw(CLOCKS))


def twin_answers(tariff: Tariff, journeys: TransitJourneys) -> dict[int, tuple[int, str]]:
    segments = [(segment.first, segment.last, segment.steps) for segment in tariff.segments]
    clock = tariff.clock
    return reference.price_legs(segments, clock.day_starts_s, clock.week_starts, rows_of(journeys), tariff.tables)


@settings(deadline=None, max_examples=EXAMPLES)
@given(random_tariffs(), st.integers(0, 2**32))
def test_any_tariff_that_remembers_equals_its_twin(tariff: Tariff, seed: int) -> None:
    journeys = random_journeys(seed, 150)
    prices, _ = price_journeys(tariff, journeys)
    expected = twin_answers(tariff, journeys)
    names = rule_names(tariff, prices)
    assert set(expected) == set(np.flatnonzero(prices.priced).tolist())
    for row, (fare, rule) in expected.items():
        assert prices.card_pays[row] == fare, (row, names[row], rule)
        remembered = names[row] if names[row].startswith(reference.ACCUMULATING) else ""
        assert remembered == rule, row
    np.testing.assert_array_equal(prices.card_pays + prices.fund_pays + prices.operator_bears, prices.gross)
    assert (prices.card_pays >= 0).all()
    assert (prices.operator_bears >= 0).all()


@settings(deadline=None, max_examples=EXAMPLES)
@given(random_tariffs(), st.integers(0, 2**32), st.integers(0, 150), st.integers(1, 3))
def test_neither_arrival_nor_batches_nor_threads_matter(tariff: Tariff, seed: int, cut: int, threads: int) -> None:
    journeys = random_journeys(seed, 150)
    prices, state = price_journeys(tariff, journeys)
    shuffled = np.random.default_rng(seed).permutation(len(journeys))
    reordered, after = price_journeys(tariff, journeys.take(shuffled), threads=threads)
    assert_same(prices.take(shuffled), reordered)
    assert_same(state, after)

    counted = np.where(journeys.entry_time == NULL, journeys.exit_time, journeys.entry_time)
    counted = np.where(journeys.counted_at == NULL, counted, journeys.counted_at)
    in_time = np.lexsort((journeys.sequence, counted))
    first, carried = price_journeys(tariff, journeys.take(in_time[:cut]))
    opening = {name: getattr(carried, name).copy() for name in carried.SPECS}
    second, closing = price_journeys(tariff, journeys.take(in_time[cut:]), carried)
    assert_same(prices.take(in_time), TransitPrices.concatenate([first, second]))
    assert_same(state, closing)
    assert all((getattr(carried, name) == opening[name]).all() for name in opening)


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(remembering_steps(), st.integers(0, 2**32), st.integers(1, 2))
def test_rows_the_walk_is_not_for_are_passed_over(steps: list[dict[str, Any]], seed: int, threads: int) -> None:
    """Days on which nothing is remembered, and days without a tariff, between those of a card that are counted."""
    segments = [(FIRST, MIDDLE, BASE), (date(2026, 2, 9), date(2026, 3, 1), [*BASE, *steps])]
    tariff = tariff_of(segments)
    journeys = random_journeys(seed, 150)
    prices, state = price_journeys(tariff, journeys, threads=threads)
    expected = twin_answers(tariff, journeys)
    assert set(expected) == set(np.flatnonzero(prices.priced).tolist())
    assert [int(prices.card_pays[row]) for row in expected] == [fare for fare, _ in expected.values()]
    for name in TransitPrices.SPECS:
        assert not getattr(prices, name)[~prices.priced].any() or name == "segment"
    # What is not counted leaves nothing behind: the state is that of the counted rows alone.
    counted = journeys.take(np.isin(np.arange(150), [row for row in expected if prices.segment[row] == 1]))
    assert_same(price_journeys(tariff, counted)[1], state)


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(random_tariffs(), st.integers(0, 2**32))
def test_rows_with_equal_keys_may_change_places(tariff: Tariff, seed: int) -> None:
    """Equal card, time and sequence: what the rows hold decides their order, not where they stand."""
    journeys = random_journeys(seed, 60, cards=2)
    columns = {name: getattr(journeys, name) for name in journeys.SPECS}
    rng = np.random.default_rng(seed)
    crowded = columns | {
        "entry_time": START + rng.integers(0, 3, 60) * 1_800,
        "counted_at": np.full(60, NULL),
        "sequence": np.zeros(60, np.int64),
    }
    crowded["exit_time"] = crowded["entry_time"] + rng.integers(0, 3, 60) * 600
    same = TransitJourneys.of(60, **crowded)
    shuffled = rng.permutation(60)
    prices, state = price_journeys(tariff, same)
    reordered, after = price_journeys(tariff, same.take(shuffled))
    assert_same(state, after)
    # Rows equal in all columns are interchangeable, so the answers are compared as multisets per content.
    content = [tuple(row.values()) for row in rows_of(same)]
    first = sorted(zip(content, prices.card_pays.tolist(), strict=True))
    second = sorted(zip([content[i] for i in shuffled], reordered.card_pays.tolist(), strict=True))
    assert first == second


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(st.integers(0, 2**32), st.sampled_from(["day", "week", "calendar_month"]), st.integers(0, 3_000))
def test_nobody_pays_more_than_the_cap(seed: int, unit: str, limit: int) -> None:
    cap = {"name": "top", "period": {"unit": unit}, "limits": {"all": limit}, "capping_ride": "remainder"}
    journeys = random_journeys(seed, 300)
    open_rows = journeys.take((journeys.card_class != 8) & (journeys.counted_at == NULL))
    prices, _ = price_journeys(one_segment([{"cap": cap}]), open_rows)
    time = np.where(open_rows.entry_time == NULL, open_rows.exit_time, open_rows.entry_time)
    days = (time // 86_400).astype("datetime64[D]")
    period = {"day": days, "week": (days.astype(np.int64) + 3) // 7, "calendar_month": days.astype("datetime64[M]")}
    groups = np.unique(np.column_stack([open_rows.card, period[unit].astype(np.int64)]), axis=0, return_inverse=True)
    paid = np.bincount(groups[1].ravel(), prices.card_pays)
    owed = np.bincount(groups[1].ravel(), prices.gross * np.where(open_rows.card_class == 1, 0.5, 1.0))
    assert (paid <= limit).all()
    assert ((paid == limit) | (paid >= owed - 1e-9) | (paid > limit - 1)).all()


@settings(deadline=None, max_examples=EXAMPLES // 2)
@given(PERIODS, st.sampled_from(["remainder", "full_fare"]), st.integers(0, 2**32))
def test_caps_by_widest_zone_equal_their_twin(period: dict[str, Any], capping_ride: str, seed: int) -> None:
    """Ranges that the table does not list, unknown stations and classes without a column are not capped."""
    rng = np.random.default_rng(seed)
    listed = [(low, high) for low in range(1, 5) for high in range(low, 5) if rng.random() < 0.8] or [(1, 1)]
    low, high = np.array(listed, np.int64).T
    adult, student = (np.sort(rng.integers(0, 2_000, len(listed))) for _ in range(2))
    tables = {
        "zones": Table("zones", {"station": np.arange(1, 5), "zone": np.arange(1, 5)}),
        "caps": Table("caps", {"zone_low": low, "zone_high": high, "adult": adult, "student": student}),
    }
    by_zones = {"table": "caps", "columns": {"adult": "adult", "student": "student"}}
    cap = {"name": "widest", "period": period, "by_zones": by_zones, "capping_ride": capping_ride}
    steps = [BASE[0], {"zones": {"zone_of": "zones"}}, *BASE[1:], {"cap": cap}]
    tariff = tariff_of([(FIRST, LAST, steps)], tables=tables)
    journeys = random_journeys(seed, 120)
    stations = {
        side: rng.choice([1, 2, 3, 4, NULL], 120, p=[0.3, 0.3, 0.15, 0.15, 0.1]) for side in ("entry", "exit")
    }
    columns = {name: getattr(journeys, name) for name in journeys.SPECS}
    columns |= {f"{side}_station": numbers for side, numbers in stations.items()}
    journeys = TransitJourneys.of(120, **columns)
    prices, _ = price_journeys(tariff, journeys)
    expected = twin_answers(tariff, journeys)
    assert {row: int(prices.card_pays[row]) for row in expected} == {row: fare for row, (fare, _) in expected.items()}


def test_a_stateless_tariff_prices_days_of_every_segment() -> None:
    cheap, dear = [{"flat": {"fare": 100}}], [{"flat": {"fare": 200}}]
    tariff = tariff_of([(FIRST, MIDDLE, cheap), (date(2026, 2, 9), LAST, dear)])
    times = START + np.array([-1, 0, 12 * 86_400 - 1, 12 * 86_400, SPAN_S - 1, SPAN_S])
    journeys = TransitJourneys.of(7, exit_time=[*times, NULL])
    prices, state = price_journeys(tariff, journeys)
    assert prices.gross.tolist() == [0, 100, 100, 200, 200, 0, 0]
    assert prices.priced.tolist() == [False, True, True, True, True, False, False]
    assert prices.segment.tolist()[1:5] == [0, 0, 1, 1]
    assert len(state) == 0


def test_a_tariff_that_remembers_is_not_priced_row_by_row() -> None:
    tariff = load_tariff(LIBRARY / "newyork.omny.yaml")
    with pytest.raises(TariffStateError, match=r"newyork\.omny remembers .* price_journeys"):
        price_transit(tariff.compiled[0], TransitJourneys.zeros(1))


def test_a_journey_before_the_state_is_refused() -> None:
    tariff = load_tariff(LIBRARY / "newyork.omny.yaml")
    day = (date(2023, 9, 6) - date(1970, 1, 1)).days * 86_400
    _, state = price_journeys(tariff, TransitJourneys.of(1, card=5, entry_time=day + 9))
    assert len(state) == 3
    price_journeys(tariff, TransitJourneys.of(1, card=6, entry_time=day), state)
    price_journeys(tariff, TransitJourneys.of(1, card=5, entry_time=day + 9, sequence=1), state)
    with pytest.raises(ValueError, match="card 5 has a journey earlier than its state"):
        price_journeys(tariff, TransitJourneys.of(1, card=5, entry_time=day), state)


def test_no_journeys_leave_the_state_alone() -> None:
    tariff = load_tariff(LIBRARY / "newyork.omny.yaml")
    state = TransitState.of(1, card=4, accumulator=accumulator_id("week"), since=START, value=7)
    prices, after = price_journeys(tariff, TransitJourneys.zeros(0), state)
    assert len(prices) == 0
    assert_same(state, after)


def test_an_accumulator_keeps_its_meaning(tmp_path: Path) -> None:
    """A cap in fen that becomes a quota of rides under one name would read fen as rides."""
    text = (LIBRARY / "newyork.omny.yaml").read_text("utf-8")
    file = tmp_path / "renamed.yaml"
    later = text.replace("2023-08-20: {unit: rolling, days: 7, rolling_from: day}", "2023-08-20: {unit: week}")
    file.write_text(later.replace("name: free_transfer", "name: week", 1))
    with pytest.raises(TariffFileError, match="'week': give each accumulator a name of its own"):
        load_tariff(file)
    first = one_segment([{"cap": {"name": "x", "period": {"unit": "day"}, "limits": {"all": 1}} | REMAINDER}])
    quota = {"name": "x", "period": {"unit": "day"}, "quota": {"rides": 1}, "per_10000": 0, "rounding": "down"}
    second = one_segment([{"pass": quota}])
    programs = [tariff.compiled[0].transit_program().accumulators for tariff in (first, second)]
    with pytest.raises(ParameterError, match="'x': it holds cap before and pass later: give the later step a new"):
        refuse_renamed(programs)


def test_an_accumulator_keeps_its_memory_when_others_come_and_go() -> None:
    """A cap written before another one, or left out, is another memory: a state knows accumulators by their names."""

    def cap(name: str, limit: int) -> dict[str, Any]:
        return {"cap": {"name": name, "period": {"unit": "week"}, "limits": {"all": limit}} | REMAINDER}

    alone, more = one_segment([cap("week", 900)]), one_segment([cap("other", 800), cap("week", 900)])
    first, second, third = (
        TransitJourneys.of(1, entry_time=START + hour * 3_600, card=5, gross_fare=700) for hour in (30, 40, 50)
    )
    _, state = price_journeys(alone, first)
    assert state.accumulator.tolist() == [0, accumulator_id("week")]
    prices, after = price_journeys(more, second, state)
    assert prices.card_pays.tolist() == [200]
    assert sorted(after.accumulator.tolist()) == sorted([0, accumulator_id("week"), accumulator_id("other")])
    values = dict(zip(after.accumulator.tolist(), after.value.tolist(), strict=True))
    assert (values[accumulator_id("week")], values[accumulator_id("other")]) == (900, 200)
    prices, last = price_journeys(alone, third, after)
    assert prices.card_pays.tolist() == [0]
    assert last.accumulator.tolist() == [0, accumulator_id("week")]


def test_slots_of_an_accumulator_have_numbers_side_by_side() -> None:
    first = accumulator_id("combined[0]")
    assert accumulator_id("combined") == first
    assert [accumulator_id(f"combined[{k}]") for k in (1, 255)] == [first + 1, first + 255]
    assert 0 < first < 2**63 - 256


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"cap": {"name": "x", "period": {"unit": "day", "days": 3}, "limits": {"all": 1}}}, "days and rolling_from"),
        ({"cap": {"name": "x", "period": {"unit": "day"}}}, "give limits or by_zones"),
        ({"cumulative": CUMULATIVE | {"bands": [{"start": 5, "per_10000": 1}]}}, "start at 0"),
        ({"cumulative": CUMULATIVE | {"basis": "journeys", "mode": "excess_part"}}, "next_ride"),
        ({"cumulative": CUMULATIVE | {"to": 101}}, "at most 100 fen"),
        ({"pass": PASS | {"quota": {}}}, "give rides or days"),
        ({"transfer_window": TRANSFER | {"minus": 3}}, "pay: free goes with none of these"),
        ({"transfer_window": TRANSFER | {"pay": "minus", "minus": 3}}, "pay: minus goes with floor, minus"),
        ({"transfer_window": TRANSFER | {"to_legs": {"age": {}}}}, "give at_least"),
    ],
)
def test_steps_that_contradict_themselves_are_refused(step: dict[str, Any], said: str) -> None:
    parameters = {name: (given | REMAINDER if name == "cap" else given) for name, given in step.items()}
    with pytest.raises(ParameterError, match=said):
        _ = one_segment([parameters]).compiled


STATEFUL = [
    file
    for file in sorted(LIBRARY.glob("*.yaml"))
    if any(f"  - {n}:" in file.read_text("utf-8") for n in reference.ACCUMULATING)
]


@pytest.mark.parametrize("file", STATEFUL, ids=lambda file: file.stem)
def test_inline_tests_of_the_library(file: Path) -> None:
    assert run_inline_tests(load_tariff(file)) == []
