"""What the steps of a utility tariff refuse, rows without a price, combined bills, and laws of bills."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tariffs
from tariffs import CompiledTariff, UtilityState, UtilityUsages, compile_tariff, load_tariff, price_utility
from tariffs.compiler import compile_steps
from tariffs.errors import ParameterError
from tariffs.utility.bills import sum_bills
from tariffs.utility.kernels import FIXED
from tariffs.vocabulary import STEPS_OF_KIND

LIBRARY = Path(tariffs.__file__).parent / "library"
DAY = (date(2026, 3, 2) - date(1970, 1, 1)).days
Step = dict[str, Any]

FRAME = {"per": "account", "period": "calendar_month", "rounding": "half_up", "rounding_of": "bill"}
PEAK = {"name": "peak", "when": [{"from": "08:00", "before": "22:00"}]}
VALLEY = {"name": "valley", "when": [{"before": "08:00"}, {"from": "22:00"}]}
USES = {"time_of_use": {"periods": [PEAK, VALLEY]}}


def compiled(*steps: Step) -> CompiledTariff:
    registry = STEPS_OF_KIND["utility"]
    validated = [(name, registry[name].model_validate(p)) for step in steps for name, p in step.items()]
    return compile_steps(
        tariff_id="test.steps",
        kind="utility",
        segment=0,
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
        steps=validated,
        tables={},
    )


def tiers(*levels: Step, **frame: Any) -> Step:
    return {"tiers": FRAME | frame | {"tiers": list(levels)}}


def flat(price: Any, **frame: Any) -> Step:
    return tiers({"prices": {"energy": price}}, **frame)


def demand(**more: Any) -> Step:
    charge = {"name": "any", "tiers": [{"price": 10_000}]}
    return {"demand": {"component": "demand", "assessed": "monthly", "charges": [charge], "rounding": "down"} | more}


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ([USES], "steps"),
        ([flat(1), USES], "steps"),
        ([USES, USES, flat(1)], "steps"),
        ([{"time_of_use": {"periods": [PEAK]}}, flat(1)], "steps[0].time_of_use.periods"),
        ([{"time_of_use": {"periods": [PEAK, PEAK]}}, flat(1)], "steps[0].time_of_use.periods[1].when"),
        ([{"time_of_use": {"periods": [{"name": "peak"}]}}, flat(1)], "steps[0].time_of_use.periods[0]"),
        (
            [{"time_of_use": {"periods": [{"name": "a", "register": 1}, {"name": "b", "register": 1}]}}, flat(1)],
            "steps[0].time_of_use.periods[1].register",
        ),
        (
            [
                {"time_of_use": {"periods": [PEAK | {"when": [{"from": "22:00", "before": "08:00"}]}]}},
                flat(1),
            ],
            "steps[0].time_of_use.periods[0].when[0].before",
        ),
        ([flat({"peak": 1})], "steps[0].tiers.tiers[0].prices.energy"),
        ([USES, flat({"noon": 1})], "steps[1].tiers.tiers[0].prices.energy"),
        (
            [USES, tiers({"up_to": 1, "prices": {"energy": {"peak": 1}}}, {"prices": {"energy": {"valley": 1}}})],
            "steps[1].tiers.tiers[1].prices.energy",
        ),
        ([USES, flat({"peak": 1, "valley": 1}, rounding_of="running_total")], "steps[1].tiers.rounding_of"),
        ([flat(1), flat(2, name="other")], "steps"),
        ([flat(1), flat(2, name="other", only={"customer_class": [1]}, period="bill")], "steps[1].tiers.period"),
        ([flat(1), flat(2, only={"customer_class": [1]}, rounding="up")], "steps[1].tiers.rounding"),
        ([flat(20_000_000)], "steps[0].tiers.tiers"),
        (
            [{"fixed": {"component": "a", "per": "day", "rounding": "up", "prices": [{"price": 20_000_000}]}}],
            "steps[0].fixed.prices",
        ),
        ([flat(1, on_price_change="prorate")], "steps[0].tiers.on_price_change"),
        ([tiers({"up_to_per_day_milli": 5, "prices": {"e": 1}})], "steps[0].tiers.tiers"),
        (
            [
                tiers(
                    {"up_to_per_day_milli": 5, "prices": {"e": 1}},
                    {"up_to": 5, "prices": {"e": 1}},
                    {"prices": {"e": 1}},
                )
            ],
            "steps[0].tiers.tiers",
        ),
        (
            [
                tiers(
                    {"up_to_per_day_milli": 5, "prices": {"e": 1}},
                    {"up_to_per_day_milli": 5, "prices": {"e": 1}},
                    {"prices": {"e": 1}},
                )
            ],
            "steps[0].tiers.tiers",
        ),
        ([flat(1, budget={"round_to_milli": 1, "rounding": "up"}, period="bill")], "steps[0].tiers.budget"),
        (
            [demand(assessed="daily", ratchet={"months": 3, "per_10000": 1, "rounding": "up"})],
            "steps[0].demand.ratchet",
        ),
        (
            [demand(charges=[{"name": "a", "tiers": [{"up_to": 1, "price": 1}]}])],
            "steps[0].demand.charges[0].tiers[0]",
        ),
        ([flat(1), demand(component="energy")], "steps"),
        (
            [
                {"time_of_use": {"periods": [PEAK, VALLEY], "calendar": {2026: {"holidays": [], "workdays": []}}}},
                flat({"peak": 1, "valley": 1}),
            ],
            "steps[0].time_of_use.calendar",
        ),
        (
            [demand(charges=[{"name": "a", "when": [{"days": ["workday"]}], "tiers": [{"price": 1}]}])],
            "steps[0].demand.calendar",
        ),
        ([flat(0), {"prepaid": {"unit_step_milli": 1, "remainder_to": "energy"}}], "steps[1].prepaid"),
        ([flat(1), {"prepaid": {"unit_step_milli": 1, "remainder_to": "gas"}}], "steps[1].prepaid.remainder_to"),
        ([USES, flat(1), {"prepaid": {"unit_step_milli": 1, "remainder_to": "energy"}}], "steps[2].prepaid"),
    ],
)
def test_refusals_name_the_place(steps: list[Step], path: str) -> None:
    with pytest.raises(ParameterError) as caught:
        compiled(*steps)
    assert caught.value.path.startswith(path)
    assert caught.value.remedy


def test_rows_without_a_price_move_no_counter() -> None:
    """No time of use, an absurd quantity, a purchase nobody asked for, a class without a price."""
    tariff = compiled(USES, flat({"peak": 5_000, "valley": 3_000}, only={"customer_class": [0]}))
    usages = UtilityUsages.of(
        7,
        account=1,
        sequence=range(7),
        period_day=DAY,
        usage_milli=[1_000, 1_000, 1_000, 1_000, 1_000, 10**9 + 1, 0],
        minute=[0, -1, 1_440, 600, 600, 600, -1],
        purchase=[0, 0, 0, 5, 0, 0, 0],
        customer_class=[0, 0, 0, 0, 7, 0, 0],
    )
    prices, state = price_utility(tariff, usages, UtilityState.zeros(0))
    assert prices.priced.tolist() == [True, False, False, False, False, False, True]
    assert prices.gross.tolist() == [30, 0, 0, 0, 0, 0, 0]
    assert state.usage_milli.tolist() == [1_000]


def test_the_same_reading_twice_in_a_bill_is_a_programming_error() -> None:
    twice = UtilityUsages.of(2, account=1, sequence=1, bill=1, period_day=DAY, usage_milli=1)
    with pytest.raises(ValueError, match="bill 1 of account 1 has a sequence twice"):
        price_utility(compiled(flat(1, period="bill")), twice, UtilityState.zeros(0))


def test_one_payment_for_bills_of_several_accounts() -> None:
    """Water and property of one home, paid together: components by tariff, the sums as billed."""
    water = compile_tariff(load_tariff(LIBRARY / "beijing.water.yaml"), date(2026, 3, 2))
    usages = UtilityUsages.of(
        4, account=[1, 1, 2, 3], sequence=range(4), period_day=DAY, usage_milli=1_000, customer_class=[0, 0, 1, 9]
    )
    prices, _ = price_utility(water, usages, UtilityState.zeros(0))
    payments = sum_bills(prices, np.array([7, 7, 7, 8]))
    assert payments.key.tolist() == [7, 8]
    assert payments.gross.tolist() == [1_500, 0]
    assert payments.components[0].tolist() == [207 + 207 + 103, 157 + 157 + 261, 3 * 136]
    assert payments.rows.tolist() == [3, 1]
    assert payments.priced.tolist() == [True, False]


def test_registers_in_proportion_do_not_depend_on_their_order() -> None:
    """300 kWh of which 200 lie in the first tier: each register has two thirds there."""
    levels = (
        {"up_to": 200, "prices": {"energy": {"peak": 6_000, "valley": 3_000}}},
        {"prices": {"energy": {"peak": 9_000, "valley": 9_000}}},
    )
    periods = [{"name": "peak", "register": 1}, {"name": "valley", "register": 2}]
    tariff = compiled({"time_of_use": {"periods": periods}}, tiers(*levels, fill="in_proportion"))
    for registers, usage in (([1, 2], [60_000, 240_000]), ([2, 1], [240_000, 60_000])):
        rows = UtilityUsages.of(
            2, account=1, sequence=[1, 2], bill=1, period_day=DAY, usage_milli=usage, register=registers
        )
        prices, _ = price_utility(tariff, rows, UtilityState.zeros(0))
        assert prices.gross.sum() == 40 * 60 + 20 * 90 + 160 * 30 + 80 * 90


def test_a_bill_in_proportion_lies_in_one_period() -> None:
    tariff = compiled(tiers({"prices": {"energy": 1}}, fill="in_proportion"))
    rows = UtilityUsages.of(
        3, account=1, sequence=[1, 2, 3], bill=[1, 2, 1], period_day=DAY, usage_milli=[5_000, 5_000, 5_000]
    )
    with pytest.raises(ValueError, match="a bill shared in proportion"):
        price_utility(tariff, rows, UtilityState.zeros(0))


def test_more_usage_never_costs_less() -> None:
    """Every library tariff with rising tier prices, a thousandth of a unit at a time around each edge."""
    for name in ("beijing.water", "demo.electricity", "demo.water"):
        tariff = compile_tariff(load_tariff(LIBRARY / f"{name}.yaml"), date(2026, 3, 2))
        edges = tariff.utility_program().tables[0].edges[..., FIXED].ravel()
        usage = np.unique(np.concatenate([edges + d for d in range(-3, 4)] + [np.arange(0, 6_000_000, 50_000)]))
        rows = UtilityUsages.of(
            len(usage), account=np.arange(len(usage)), sequence=0, period_day=DAY, usage_milli=usage
        )
        prices, _ = price_utility(tariff, rows, UtilityState.zeros(0))
        assert (np.diff(prices.gross) >= 0).all()


def test_a_state_may_leave_out_what_the_tariff_does_not_count() -> None:
    state = UtilityState(account=np.array([1]), year=np.array([2026]), usage_milli=np.array([5]))
    assert (state.register.tolist(), state.peak_milli.tolist(), state.days.tolist()) == ([0], [0], [0])
