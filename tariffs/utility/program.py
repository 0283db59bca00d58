"""Compile the steps of a utility tariff: names become indices, prices arrays of one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import QUANTITY_MAX, Context, Strict
from tariffs.rounding import RoundingMode
from tariffs.transit.scales import upper_edges
from tariffs.utility.choice import Choice, everyone
from tariffs.utility.steps import (
    Customers,
    Demand,
    Fixed,
    Household,
    LateFee,
    Minimum,
    Prepaid,
    Ratchet,
    Reading,
    Tiers,
    TimeOfUse,
    UtilityStep,
)
from tariffs.utility.tier_tables import PRICE_MAX_YUAN, TierTables, compile_tables
from tariffs.utility.times_of_use import UsePeriods, compile_time_of_use, schedule_of
from tariffs.utility.windows import Schedule, compile_windows

_ORDER: tuple[type[Strict], ...] = (
    Reading, TimeOfUse, Household, Tiers, Demand, Fixed, Minimum, LateFee, Prepaid,
)  # fmt: skip
_REPEATABLE = (Tiers, Fixed)

_Step = TypeVar("_Step", bound=Strict)


@dataclass(frozen=True)
class DemandProgram:
    """Compiled demand charges; per charge the half hours it looks at, its edges (W) and prices."""

    column: int
    daily: bool
    schedule: Schedule
    slots: tuple[Bools | None, ...]
    edges: tuple[Ints, ...]
    prices: tuple[Ints, ...]
    ratchet: Ratchet | None
    demand_max: int
    """Largest demand of a row, so that a hundred such charges stay inside int64."""


@dataclass(frozen=True)
class FixedProgram:
    """A fixed charge with its prices in 1/scale yuan, int64 by alternative of ``choice``."""

    column: int
    per_day: bool
    choice: Choice
    prices: Ints


@dataclass(frozen=True)
class UtilityProgram:
    """Compiled utility tariff: the steps that are there, in the only order they can stand."""

    component_names: tuple[str, ...]
    roundings: tuple[RoundingMode, ...]
    """Rounding of each component."""
    price_scale: int
    """Parts of a yuan all prices are written in; an exact amount is in 1/(10 × price_scale) fen."""
    usage_max: int
    """Largest usage of a row, so that a bill of a thousand such rows stays inside int64."""
    frame: Tiers | None
    """The tiers step whose period, rounding and fill hold for all of them."""
    tables: tuple[TierTables, ...]
    household: Household | None
    reading: Reading | None
    use_periods: UsePeriods | None
    demand: DemandProgram | None
    fixed: tuple[FixedProgram, ...]
    minimum: Minimum | None
    minimum_for: Choice
    late_fee: LateFee | None
    prepaid: Prepaid | None

    def column(self, component: str) -> int:
        """Index of a component."""
        return self.component_names.index(component)


def compile_utility(steps: Sequence[tuple[str, UtilityStep]], context: Context) -> UtilityProgram:
    """Assemble the program; ParameterError when parts are missing, out of order or do not fit each other."""
    _check_order(steps)
    tiers, fixed = _all(steps, Tiers), _all(steps, Fixed)
    demand, minimum, late_fee = _one(steps, Demand), _one(steps, Minimum), _one(steps, LateFee)
    frame = tiers[0][1] if tiers else None
    names, roundings = _components(tiers, demand, fixed, minimum, late_fee)
    scales = [step.price_scale for _, step in tiers] + [step.price_scale for _, step in fixed]
    scale = max([*scales, *([demand.price_scale] if demand else [])])
    periods = compile_time_of_use(_one(steps, TimeOfUse))
    household = _one(steps, Household)
    for place, step in tiers:
        _check_frame(place, step, frame or step, periods is not None, household)
    tables = compile_tables(tiers, household, periods, names, scale, context)
    highest = max((int(table.prices.sum(axis=3).max()) for table in tables), default=1)
    prepaid = _one(steps, Prepaid)
    if prepaid:
        _check_prepaid(prepaid, tiers, periods, names, demand is not None or bool(fixed))
    return UtilityProgram(
        component_names=tuple(names),
        roundings=tuple(roundings),
        price_scale=scale,
        usage_max=min(QUANTITY_MAX, 2**63 // (1000 * max(highest, 1))),
        frame=frame,
        tables=tables,
        household=household,
        reading=_one(steps, Reading),
        use_periods=periods,
        demand=_compile_demand(demand, names, scale, context) if demand else None,
        fixed=tuple(_compile_fixed(place, step, names, scale) for place, step in fixed),
        minimum=minimum,
        minimum_for=everyone([minimum.only if minimum else Customers()]),
        late_fee=late_fee,
        prepaid=prepaid,
    )


def _all(steps: Sequence[tuple[str, UtilityStep]], kind: type[_Step]) -> list[tuple[str, _Step]]:
    """Steps of a kind with their places in the file."""
    return [(f"steps[{i}].{name}", step) for i, (name, step) in enumerate(steps) if isinstance(step, kind)]


def _one(steps: Sequence[tuple[str, UtilityStep]], kind: type[_Step]) -> _Step | None:
    found = _all(steps, kind)
    return found[0][1] if found else None


def _check_order(steps: Sequence[tuple[str, UtilityStep]]) -> None:
    ranks = [_ORDER.index(type(step)) for _, step in steps]
    names = [name for name, _ in steps]
    once = [kind for _, step in steps if (kind := type(step)) not in _REPEATABLE]
    charges = any(isinstance(step, Tiers | Demand | Fixed) for _, step in steps)
    if not charges or ranks != sorted(ranks) or len(once) != len(set(once)):
        remedy = "write, in this order and once each unless marked +: reading, time_of_use, household, tiers+, "
        remedy += "demand, fixed+, minimum, late_fee, prepaid; at least one of tiers, demand, fixed"
        raise ParameterError("steps", names, remedy)


def _components(
    tiers: Sequence[tuple[str, Tiers]],
    demand: Demand | None,
    fixed: Sequence[tuple[str, Fixed]],
    minimum: Minimum | None,
    late_fee: LateFee | None,
) -> tuple[list[str], list[RoundingMode]]:
    """Names of all components in the order of the file, and how each is rounded."""
    roundings: dict[str, RoundingMode] = {}
    for place, step in tiers:
        for name in step.tiers[0].prices:
            if roundings.setdefault(name, step.rounding) != step.rounding:
                raise ParameterError(f"{place}.rounding", step.rounding, f"{name} is rounded otherwise before")
    once: list[tuple[str, RoundingMode]] = [(step.component, step.rounding) for _, step in fixed]
    once += [(demand.component, demand.rounding)] if demand else []
    # These two are whole fen already.
    once += [(step.component, "down") for step in (minimum, late_fee) if step]
    for name, rounding in once:
        if name in roundings:
            raise ParameterError("steps", name, "give each charge a component of its own")
        roundings[name] = rounding
    return list(roundings), list(roundings.values())


def _check_frame(place: str, step: Tiers, frame: Tiers, time_of_use: bool, household: Household | None) -> None:
    for name in ("per", "period", "on_price_change", "fill", "rounding_of"):
        if (value := getattr(step, name)) != (first := getattr(frame, name)):
            raise ParameterError(f"{place}.{name}", value, f"all tiers of a tariff share it: {first}")
    if step.rounding_of == "running_total" and (time_of_use or step.fill == "in_proportion" or step.period == "bill"):
        remedy = (
            "a running total is one of usage over a period: with times of use, bills as periods or "
            "proportional filling write bill"
        )
        raise ParameterError(f"{place}.rounding_of", step.rounding_of, remedy)
    if step.on_price_change == "prorate" and step.period != "calendar_year":
        raise ParameterError(f"{place}.on_price_change", "prorate", "only years are prorated: write carry")
    if step.on_price_change == "prorate" and household is not None and household.on_change == "prorate_by_days":
        raise ParameterError(f"{place}.on_price_change", "prorate", "prorate prices or households, not both")
    if step.budget is not None and step.period != "bill":
        raise ParameterError(f"{place}.budget", step.period, "a budget is one of a bill: write period: bill")


def _compile_demand(step: Demand, names: Sequence[str], scale: int, context: Context) -> DemandProgram:
    slots: list[Bools | None] = []
    edges: list[Ints] = []
    prices: list[Ints] = []
    for index, charge in enumerate(step.charges):
        place = f"demand.charges[{index}]"
        slots.append(compile_windows(charge.when, f"{place}.when") if charge.when else None)
        edges.append(np.array(upper_edges(charge.tiers, f"{place}.tiers", open_end=True), np.int64) * 1000)
        own = np.array([tier.price for tier in charge.tiers], np.int64)
        if (own > PRICE_MAX_YUAN * step.price_scale).any():
            raise ParameterError(f"{place}.tiers", int(own.max()), f"no kW costs above {PRICE_MAX_YUAN} yuan")
        prices.append(own * (scale // step.price_scale))
    if step.assessed == "daily" and step.ratchet is not None:
        raise ParameterError("demand.ratchet", "daily", "a ratchet looks back over months: assess monthly")
    highest = max(int(own.max()) for own in prices)
    return DemandProgram(
        column=names.index(step.component),
        daily=step.assessed == "daily",
        schedule=schedule_of("demand", step.calendar, [window for charge in step.charges for window in charge.when]),
        slots=tuple(slots),
        edges=tuple(edges),
        prices=tuple(prices),
        ratchet=step.ratchet,
        demand_max=min(QUANTITY_MAX, 2**63 // (100 * max(highest, 1))),
    )


def _compile_fixed(place: str, step: Fixed, names: Sequence[str], scale: int) -> FixedProgram:
    highest = max(entry.price for entry in step.prices)
    most = PRICE_MAX_YUAN if step.per == "day" else 1_000 * PRICE_MAX_YUAN
    if highest > most * step.price_scale:
        raise ParameterError(f"{place}.prices", highest, f"no fixed charge per {step.per} is above {most} yuan")
    prices = np.array([entry.price * (scale // step.price_scale) for entry in step.prices], np.int64)
    choice = everyone([entry.only for entry in step.prices])
    return FixedProgram(names.index(step.component), step.per == "day", choice, prices)


def _check_prepaid(
    prepaid: Prepaid,
    tiers: Sequence[tuple[str, Tiers]],
    periods: UsePeriods | None,
    names: Sequence[str],
    other_charges: bool,
) -> None:
    if len(tiers) != 1 or periods is not None or other_charges or tiers[0][1].period == "bill":
        raise ParameterError(
            "prepaid.unit_step_milli",
            prepaid.unit_step_milli,
            "purchases need exactly one step: tiers over a calendar",
        )
    if prepaid.remainder_to not in names:
        raise ParameterError("prepaid.remainder_to", prepaid.remainder_to, f"name a component: {list(names)}")
    free = [tier for tier in tiers[0][1].tiers if sum(cast(Mapping[str, int], tier.prices).values()) == 0]
    if free:
        raise ParameterError(
            "prepaid.unit_step_milli", prepaid.unit_step_milli, "money cannot buy units of a tier without a price"
        )
