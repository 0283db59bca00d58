"""Utility pricing against its row-wise twin, over random tariffs and readings, and the laws every bill obeys.

``CAMPAIGN_EXAMPLES`` sets the number of random tariffs of each test (40 by default), of 30 rows each.
"""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import utility_reference as reference

from tariffs import NULL, CompiledTariff, UtilityPrices, UtilityState, UtilityUsages, price_utility
from tariffs.columns import Columns
from tariffs.compiler import compile_steps
from tariffs.vocabulary import STEPS_OF_KIND

FIRST, LAST = date(2025, 3, 10), date(2026, 12, 31)
DAY = (date(2025, 9, 1) - date(1970, 1, 1)).days
MODES = st.sampled_from(["half_up", "half_even", "down", "up"])
PRICES = st.integers(0, 99_999)
EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "40"))
Step = dict[str, Any]


def compile_plain(steps: list[Step]) -> tuple[CompiledTariff, list[tuple[str, Any]]]:
    """Steps written as in a file → compiled tariff and the validated steps the twin reads."""
    registry = STEPS_OF_KIND["utility"]
    validated = [(name, registry[name].model_validate(p)) for step in steps for name, p in step.items()]
    compiled = compile_steps(
        tariff_id="test.steps", kind="utility", segment=0, first_day=FIRST, last_day=LAST, steps=validated, tables={}
    )
    return compiled, validated


def rows_of(columns: Columns) -> list[dict[str, int]]:
    """Records as plain dictionaries of one-dimensional columns."""
    plain = {name: getattr(columns, name).tolist() for name in columns.SPECS}
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


def assert_same(left: Columns, right: Columns) -> None:
    for name in left.SPECS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@st.composite
def tiers(draw: st.DrawFn, frame: Step, components: list[str], uses: list[str], edge: str = "up_to") -> Step:
    """A tiers step of up to four tiers; prices by time of use for some components."""
    limits = draw(st.lists(st.integers(1, 300), max_size=3, unique=True).map(sorted))
    by_use = draw(st.sets(st.sampled_from(components))) if uses else set()
    levels: list[Step] = []
    for limit in [*limits, None]:
        price: Step = {c: {u: draw(PRICES) for u in uses} if c in by_use else draw(PRICES) for c in components}
        level: Step = {"prices": price}
        if limit is not None and edge in ("up_to_per_day_milli", "up_to_per_kw_milli"):
            level[edge] = limit * 30
        elif limit is not None and edge == "up_to_budget":
            level[edge] = {"persons_per_10000": limit * 90, "allowance_per_10000": limit * 70}
        elif limit is not None:
            level[edge] = limit
        levels.append(level)
    step = frame | {"tiers": levels, "rounding": draw(MODES)}
    if edge == "up_to_budget" and limits:
        budget = {"per_person_milli": 2_439, "per_person_day_milli": draw(st.integers(0, 300))}
        step["budget"] = budget | {"round_to_milli": draw(st.sampled_from([1, 1_000])), "rounding": draw(MODES)}
    return {"tiers": step}


@st.composite
def charges(draw: st.DrawFn, *, with_days: bool = True) -> list[Step]:
    """Fixed and minimum charges and a late fee, each or none."""
    steps: list[Step] = []
    for component, per in (("service", "bill"), ("supply", "day")):
        if with_days and draw(st.booleans()):
            only = {"meter_size": [15, 20]}
            prices = [{"only": only, "price": draw(PRICES)}, {"price": draw(PRICES)}]
            frame = {"component": component, "per": per, "price_scale": 1_000_000, "rounding": draw(MODES)}
            steps.append({"fixed": frame | {"prices": prices}})
    if draw(st.booleans()):
        minimum = {"component": "minimum", "per": "bill", "amount": draw(st.integers(0, 5_000))}
        steps.append({"minimum": minimum | {"only": {"meter_size": [15, 25]}}})
    if draw(st.booleans()):
        fee = {"per_day_per_10000": draw(st.integers(0, 300)), "at_least": draw(st.integers(0, 100))}
        common = {"component": "late", "at_most": "principal", "rounding": draw(MODES)}
        steps.append({"late_fee": common | fee})
    return steps


@st.composite
def calendar_tariff(draw: st.DrawFn) -> list[Step]:
    """Tiers over years, two months or months; households, classes, further components."""
    rounding_of = draw(st.sampled_from(["running_total", "bill"]))
    period = draw(st.sampled_from(["calendar_year", "calendar_two_months", "calendar_month"]))
    on_change = draw(st.sampled_from(["keep_cumulated_usage", "prorate_by_days"]))
    prorate = period == "calendar_year" and on_change == "keep_cumulated_usage" and draw(st.booleans())
    frame = {"per": "account", "period": period, "rounding_of": rounding_of}
    frame |= {"on_price_change": "prorate" if prorate else "carry"}
    edge = draw(st.sampled_from(["up_to", "up_to_per_day_milli"]))
    main = draw(tiers(frame, ["water", "resource"], [], edge))
    steps = [main]
    widths = sorted(draw(st.lists(st.integers(0, 50), min_size=1, max_size=3)))
    if len(main["tiers"]["tiers"]) == len(widths) + 1 and edge == "up_to":
        household = {"base_persons": 3, "units_per_extra_person": widths, "extra_persons_max": 4}
        steps.insert(0, {"household": household | {"on_change": on_change}})
    if draw(st.booleans()):
        flat = {"only": {"customer_class": [0]}, "name": "shop", "tiers": [{"prices": {"water": 70, "resource": 9}}]}
        alternative = flat | frame | {"rounding": main["tiers"]["rounding"]}
        steps.insert(len(steps) - 1, {"tiers": alternative})
        main["tiers"]["only"] = {"customer_class": [1, 2]}
    if draw(st.booleans()):
        only = {"only": {"meter_size": [15]}, "name": "sewer"}
        steps.append({"tiers": draw(tiers(frame, ["sewer"], [], "up_to_per_day_milli"))["tiers"] | only})
    return steps + draw(charges())


@st.composite
def bill_tariff(draw: st.DrawFn) -> list[Step]:
    """Every bill a period of its own, with edges per day or by budget."""
    edge = draw(
        st.sampled_from(
            ["up_to", "up_to_per_day_milli", "up_to_per_kw_milli", "up_to_per_kw_day_milli", "up_to_budget"]
        )
    )
    fill = draw(st.sampled_from(["in_reading_order", "in_proportion"]))
    frame = {"per": "account", "period": "bill", "rounding_of": "bill", "fill": fill}
    steps = [draw(tiers(frame, ["water"], [], edge)), *draw(charges())]
    if draw(st.booleans()):
        steps.insert(0, {"reading": {"round_to_milli": 1_000, "rounding": draw(MODES)}})
    return steps


@st.composite
def use_tariff(draw: st.DrawFn) -> list[Step]:
    """Times of use by clock and register, demand charges with and without carried peaks of months before."""
    days = {2025: {"holidays": [date(2025, 10, 1)], "workdays": [date(2025, 9, 28)]}}
    peak = [{"from": "08:30", "before": "22:00", "days": ["workday"]}]
    valley = [{"before": "08:30"}, {"from": "22:00"}]
    valley += [{"from": "08:30", "before": "22:00", "days": ["weekend", "holiday"]}]
    by_clock = [{"name": "peak", "register": 1, "when": peak}, {"name": "valley", "register": 2, "when": valley}]
    frame = {"per": "account", "period": "calendar_month", "rounding_of": "bill", "price_scale": 1_000_000}
    steps: list[Step] = [{"time_of_use": {"calendar": days, "periods": by_clock}}]
    steps.append(draw(tiers(frame, ["energy", "fund"], ["peak", "valley"])))
    if draw(st.booleans()):
        charged = [
            {"name": "all", "tiers": [{"up_to": 20, "price": draw(PRICES)}, {"price": draw(PRICES)}]},
            {"name": "peak", "when": peak, "tiers": [{"price": draw(PRICES)}]},
        ]
        demand: Step = {
            "component": "demand",
            "calendar": days,
            "assessed": "daily",
            "charges": charged,
            "rounding": draw(MODES),
        }
        if draw(st.booleans()):
            demand["assessed"] = "monthly"
            if draw(st.booleans()):
                ratchet = {"months": draw(st.integers(1, 12)), "per_10000": draw(st.integers(0, 10_000))}
                demand["ratchet"] = ratchet | {"rounding": draw(MODES)}
        steps.append({"demand": demand})
    return steps + draw(charges())


@st.composite
def prepaid_tariff(draw: st.DrawFn) -> list[Step]:
    frame = {"per": "account", "period": "calendar_year"}
    frame |= {"rounding_of": draw(st.sampled_from(["running_total", "bill"]))}
    step = draw(tiers(frame, ["energy", "fund"], []))
    for level in step["tiers"]["tiers"]:
        level["prices"]["energy"] += 1
    prepaid = {"unit_step_milli": draw(st.sampled_from([1, 10, 1_000])), "remainder_to": "energy"}
    return [step, {"prepaid": prepaid}]


def random_usages(seed: int, length: int, *, purchases: bool = False) -> UtilityUsages:
    """Readings of a few accounts in the order of days; bills of up to four rows of one account and month."""
    rng = np.random.default_rng(seed)
    days = np.sort(DAY + rng.integers(0, 500, length))
    account = rng.integers(1, 4, length)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return UtilityUsages.of(
        length,
        account=account,
        sequence=np.arange(length),
        period_day=days,
        usage_milli=np.where(rng.integers(0, 8, length) == 0, 0, rng.integers(0, 90_000, length)),
        household=rng.integers(1, 10, length),
        bill=np.where(month % 3 == 0, NULL, month),
        minute=rng.choice([0, 509, 510, 600, 1319, 1320, 1439, NULL], length),
        register=rng.choice([NULL, NULL, NULL, 1, 2, 9], length),
        days=rng.integers(0, 40, length),
        customer_class=rng.integers(0, 4, length),
        meter_size=rng.choice([15, 20, 25], length),
        allowance_milli=rng.integers(0, 9_000, length),
        demand_milli=rng.integers(0, 50_000, length),
        days_overdue=np.where(rng.integers(0, 4, length) == 0, rng.integers(0, 60, length), 0),
        purchase=np.where(rng.integers(0, 3, length) == 0, rng.integers(1, 9_000, length), 0) if purchases else 0,
    )


def assert_equals_twin(steps: list[Step], usages: UtilityUsages) -> None:
    """Same amounts, units, rules and counters; a shuffled or split batch gives the same."""
    compiled, validated = compile_plain(steps)
    prices, state = price_utility(compiled, usages, UtilityState.zeros(0))
    accounts: dict[int, reference.Account] = {}
    answers = reference.price_usages(validated, rows_of(usages), accounts, FIRST, LAST)
    expected = [[answer.get(name, 0) for name in compiled.component_names] for answer in answers]
    assert prices.components.tolist() == expected
    assert prices.priced.tolist() == [bool(answer) for answer in answers]
    assert prices.usage_milli.tolist() == [answer.get("units", 0) for answer in answers]
    rules = [compiled.rule_names[rule] for rule in prices.rule.tolist()]
    assert rules == [answer.get("rule", "not covered") for answer in answers]
    np.testing.assert_array_equal(prices.gross, prices.components.sum(axis=1))
    assert_same_counters(state, accounts)
    assert_split_and_shuffled(compiled, usages, prices, state)


def assert_same_counters(state: UtilityState, accounts: dict[int, reference.Account]) -> None:
    rows = rows_of(state)
    used = {(r["account"], r["year"]): r["usage_milli"] for r in rows if r["register"] == 0}
    assert used == {(a, key): usage for a, account in accounts.items() for key, usage in account.usage.items()}
    peaks = {(r["account"], r["register"] - 1, r["year"]): r["peak_milli"] for r in rows if r["register"] > 0}
    assert peaks == {(a, *key): peak for a, account in accounts.items() for key, peak in account.peaks.items()}


def assert_split_and_shuffled(
    compiled: CompiledTariff, usages: UtilityUsages, prices: UtilityPrices, state: UtilityState
) -> None:
    shuffled = np.random.default_rng(len(usages)).permutation(len(usages))
    reordered, after = price_utility(compiled, usages.take(shuffled), UtilityState.zeros(0))
    assert_same(prices.take(shuffled), reordered)
    assert_same(state, after)
    # Months are split between, never within: a bill comes in one batch.
    cut = int(np.searchsorted(usages.period_day, (date(2026, 2, 1) - date(1970, 1, 1)).days))
    first, carried = price_utility(compiled, usages.take(slice(0, cut)), UtilityState.zeros(0))
    second, after = price_utility(compiled, usages.take(slice(cut, None)), carried)
    assert_same(prices, UtilityPrices.concatenate([first, second]))
    assert_same(state, after)


@settings(deadline=None, max_examples=EXAMPLES)
@given(calendar_tariff(), st.integers(0, 2**32))
def test_tiers_over_calendar_periods_equal_their_twin(steps: list[Step], seed: int) -> None:
    assert_equals_twin(steps, random_usages(seed, 30))


@settings(deadline=None, max_examples=EXAMPLES)
@given(bill_tariff(), st.integers(0, 2**32))
def test_tiers_of_bills_equal_their_twin(steps: list[Step], seed: int) -> None:
    assert_equals_twin(steps, random_usages(seed, 30))


@settings(deadline=None, max_examples=EXAMPLES)
@given(use_tariff(), st.integers(0, 2**32))
def test_times_of_use_and_demand_equal_their_twin(steps: list[Step], seed: int) -> None:
    assert_equals_twin(steps, random_usages(seed, 30))


@settings(deadline=None, max_examples=EXAMPLES)
@given(prepaid_tariff(), st.integers(0, 2**32))
def test_purchases_equal_their_twin(steps: list[Step], seed: int) -> None:
    usages = random_usages(seed, 20, purchases=True)
    assert_equals_twin(steps, usages)
    prices, _ = price_utility(compile_plain(steps)[0], usages, UtilityState.zeros(0))
    bought = usages.purchase > 0
    np.testing.assert_array_equal(prices.gross[bought], usages.purchase[bought])
