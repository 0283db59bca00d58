"""Compile the steps of a utility tariff: names become indices, prices arrays of one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np

from tariffs.calendars import Calendar
from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import QUANTITY_MAX, Context, Strict
from tariffs.rounding import RoundingMode
from tariffs.transit.scales import upper_edges
from tariffs.utility.columns import UtilityUsages
from tariffs.utility.steps import (
    Budget,
    Customers,
    Demand,
    Fixed,
    Household,
    LateFee,
    Minimum,
    Prepaid,
    Ratchet,
    Reading,
    Tier,
    Tiers,
    TimeOfUse,
    UtilityStep,
)
from tariffs.utility.windows import (
    POSSIBLE,
    SLOTS,
    Schedule,
    Window,
    compile_schedule,
    compile_windows,
    describe_slot,
)

_ORDER: tuple[type[Strict], ...] = (
    Reading, TimeOfUse, Household, Tiers, Demand, Fixed, Minimum, LateFee, Prepaid,
)  # fmt: skip
_REPEATABLE = (Tiers, Fixed)
_PRICE_MAX_YUAN = 1_000

_Step = TypeVar("_Step", bound=Strict)


@dataclass(frozen=True)
class TierTable:
    """K tiers of one step. Edges are linear in what a row brings: see :func:`tariffs.utility.tiers.tier_edges`.

    ``edges``, ``edge_per_person``, ``edge_per_day``, ``edge_per_kw``, ``edge_per_kw_day`` in thousandths of a unit,
    ``persons_share`` and ``allowance_share`` in 1/10,000, all int64 (K − 1,); ``prices`` int64 (K, times of use,
    components), 1/scale yuan per unit.
    """

    only: Customers
    covers: Bools
    """Times of use it has prices for, bool (times of use,)."""
    columns: tuple[int, ...]
    """Its components within those of the tariff."""
    edges: Ints
    edge_per_person: Ints
    edge_per_day: Ints
    edge_per_kw: Ints
    edge_per_kw_day: Ints
    persons_share: Ints
    allowance_share: Ints
    budget: Budget | None
    prices: Ints
    rounding: RoundingMode
    first_rule: int


@dataclass(frozen=True)
class UsePeriods:
    """Times of use: ``of_slot`` int64 (SLOTS,), −1 where only registers tell; ``of_register`` sorted pairs."""

    names: tuple[str, ...]
    schedule: Schedule
    of_slot: Ints
    registers: Ints
    of_register: Ints


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
    """A fixed charge with its prices in 1/scale yuan."""

    column: int
    step: Fixed
    prices: tuple[int, ...]


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
    tables: tuple[TierTable, ...]
    household: Household | None
    reading: Reading | None
    use_periods: UsePeriods | None
    demand: DemandProgram | None
    fixed: tuple[FixedProgram, ...]
    minimum: Minimum | None
    late_fee: LateFee | None
    prepaid: Prepaid | None

    def column(self, component: str) -> int:
        """Index of a component."""
        return self.component_names.index(component)


def admits(only: Customers, usages: UtilityUsages) -> Bools:
    """Rows a step or price is for."""
    admitted = np.ones(len(usages), np.bool_)
    if only.customer_class is not None:
        admitted &= np.isin(usages.customer_class, only.customer_class)
    if only.meter_size is not None:
        admitted &= np.isin(usages.meter_size, only.meter_size)
    return admitted


def selects(table: TierTable, usages: UtilityUsages, use_period: Ints) -> Bools:
    """Rows that a tiers step prices: its customers at its times of use (no usage needs none)."""
    at_its_times = use_period >= 0
    if not table.covers.all():
        at_its_times &= table.covers[use_period]
    selected: Bools = admits(table.only, usages) & (at_its_times | (usages.usage_milli == 0))
    return selected


def compile_utility(steps: Sequence[tuple[str, UtilityStep]], context: Context) -> UtilityProgram:
    """Assemble the program; ParameterError when parts are missing, out of order or do not fit each other."""
    _check_order(steps)
    tiers, fixed = _all(steps, Tiers), _all(steps, Fixed)
    demand, minimum, late_fee = _one(steps, Demand), _one(steps, Minimum), _one(steps, LateFee)
    frame = tiers[0][1] if tiers else None
    names, roundings = _components(tiers, demand, fixed, minimum, late_fee)
    scales = [step.price_scale for _, step in tiers] + [step.price_scale for _, step in fixed]
    scale = max([*scales, *([demand.price_scale] if demand else [])])
    periods = _compile_time_of_use(_one(steps, TimeOfUse))
    household = _one(steps, Household)
    for place, step in tiers:
        _check_frame(place, step, frame or step, periods is not None, household)
    tables = tuple(_compile_tiers(place, step, household, periods, names, scale, context) for place, step in tiers)
    _check_alternatives(tables, periods)
    highest = max((int(table.prices.sum(axis=2).max()) for table in tables), default=1)
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


def _compile_tiers(
    place: str,
    step: Tiers,
    household: Household | None,
    periods: UsePeriods | None,
    names: Sequence[str],
    scale: int,
    context: Context,
) -> TierTable:
    own = list(step.tiers[0].prices)
    for index, tier in enumerate(step.tiers):
        if list(tier.prices) != own:
            where = f"{place}.tiers[{index}].prices"
            raise ParameterError(where, list(tier.prices), f"name the same components in every tier: {own}")
    edges = _tier_edges(place, step)
    per_person = _per_person(place, household, edges.fixed)
    covers = _covered_periods(place, step, periods)
    prices = np.array([[_prices(tier, covered, own) for covered in covers] for tier in step.tiers], np.int64)
    if (prices > _PRICE_MAX_YUAN * step.price_scale).any():
        raise ParameterError(f"{place}.tiers", int(prices.max()), f"no unit costs above {_PRICE_MAX_YUAN} yuan")
    rules = [context.rule(f"{step.name}[{index + 1}]") for index in range(len(step.tiers))]
    return TierTable(
        only=step.only,
        covers=np.array([covered is not None for covered in covers]),
        columns=tuple(names.index(name) for name in own),
        edges=edges.fixed,
        edge_per_person=per_person,
        edge_per_day=edges.per_day,
        edge_per_kw=edges.per_kw,
        edge_per_kw_day=edges.per_kw_day,
        persons_share=edges.persons,
        allowance_share=edges.allowance,
        budget=step.budget,
        prices=prices * (scale // step.price_scale),
        rounding=step.rounding,
        first_rule=rules[0],
    )


@dataclass(frozen=True)
class _Edges:
    """The parts an edge is a sum of, int64 (K − 1,) each."""

    fixed: Ints
    per_day: Ints
    per_kw: Ints
    per_kw_day: Ints
    persons: Ints
    allowance: Ints


def _tier_edges(place: str, step: Tiers) -> _Edges:
    """All edges of a step are written in one way; the last tier has none."""
    finite, last = step.tiers[:-1], step.tiers[-1]
    nothing = _Edges(*([np.zeros(len(finite), np.int64)] * 6))
    shares = [tier.up_to_budget for tier in finite if tier.up_to_budget is not None]
    scaled = {
        name: [getattr(t, f"up_to_{name}_milli") for t in step.tiers] for name in ("per_day", "per_kw", "per_kw_day")
    }
    scaled = {name: values for name, values in scaled.items() if any(v is not None for v in values)}
    ways = bool(shares) + len(scaled) + any(tier.up_to is not None for tier in finite)
    if ways > 1 or last.up_to_budget is not None or any(values[-1] is not None for values in scaled.values()):
        remedy = "write all edges of a step in one way, and leave the last tier open"
        raise ParameterError(f"{place}.tiers", [tier.prices for tier in step.tiers], remedy)
    if (step.budget is not None) != bool(shares):
        raise ParameterError(f"{place}.budget", bool(shares), "write a budget and up_to_budget together")
    if shares and len(shares) == len(finite):
        persons = _rising(f"{place}.tiers", [share.persons_per_10000 for share in shares], strictly=False)
        allowance = _rising(f"{place}.tiers", [share.allowance_per_10000 for share in shares], strictly=False)
        return replace(nothing, persons=persons, allowance=allowance)
    for name, values in scaled.items():
        if None not in values[:-1]:
            return replace(nothing, **{name: _rising(f"{place}.tiers", values[:-1], strictly=True)})
    edges = upper_edges(step.tiers, f"{place}.tiers", open_end=True)
    return replace(nothing, fixed=np.array(edges, np.int64).reshape(-1) * 1000)


def _rising(place: str, values: Sequence[int], *, strictly: bool) -> Ints:
    if any(later < earlier or (strictly and later == earlier) for earlier, later in pairwise(values)):
        raise ParameterError(place, list(values), "edges must rise: tiers overlap here")
    return np.array(values, np.int64)


def _per_person(place: str, household: Household | None, edges: Ints) -> Ints:
    """Widening per extra person of edges that are numbers of units; the others are not widened."""
    count = len(edges)
    if household is None or not edges.any():
        return np.zeros(count, np.int64)
    per_person = household.units_per_extra_person
    where = "household.units_per_extra_person"
    if len(per_person) != count:
        raise ParameterError(where, per_person, f"give one number per finite tier of {place} ({count})")
    if any(later < earlier for earlier, later in pairwise(per_person)):
        raise ParameterError(where, per_person, "numbers must not fall, or tiers overlap")
    return np.array(per_person, np.int64) * 1000


def _covered_periods(place: str, step: Tiers, periods: UsePeriods | None) -> list[str | None]:
    """Times of use the step has prices for, None in the place of the others; one nameless without time_of_use."""
    named = {
        f"{place}.tiers[{index}].prices.{component}": list(price)
        for index, tier in enumerate(step.tiers)
        for component, price in tier.prices.items()
        if isinstance(price, dict)
    }
    known = list(periods.names) if periods else []
    first = next(iter(named.values()), known)
    for where, given in named.items():
        if not given or set(given) != set(first) or not set(given) <= set(known):
            remedy = f"name the same periods in all prices of the step; time_of_use has {known or 'none: add it'}"
            raise ParameterError(where, given, remedy)
    return [name if name in first else None for name in known] if periods else [""]


def _prices(tier: Tier, period: str | None, components: Sequence[str]) -> list[int]:
    """Prices of the components in a period; zeros in one that is not covered."""
    given = [tier.prices[name] for name in components]
    if period is None:
        return [0] * len(given)
    return [price if isinstance(price, int) else price[period] for price in given]


def _check_alternatives(tables: Sequence[TierTable], periods: UsePeriods | None) -> None:
    """Steps share all of their components (alternatives) or none (they add up).

    Alternatives for the same customers are for different seasons: tiers that differ between the hours of one
    month have no meaning, because they are filled by the sum over all hours.
    """
    for index, table in enumerate(tables):
        for earlier in tables[:index]:
            if not set(table.columns) & set(earlier.columns):
                continue
            if table.columns != earlier.columns:
                remedy = "tiers steps name the same components in the same order, or different ones"
                raise ParameterError("steps", list(table.columns), remedy)
            if table.only == earlier.only and _months(table, periods) & _months(earlier, periods):
                remedy = "two tiers steps hold for the same customers in one month: tell them apart by `only`"
                raise ParameterError("steps", sorted(_months(table, periods) & _months(earlier, periods)), remedy)


def _months(table: TierTable, periods: UsePeriods | None) -> set[int]:
    """Months in which a step has a price by its times of use; all of them where the clock does not tell."""
    if periods is None or (periods.of_slot < 0)[POSSIBLE].any():
        return set(range(1, 13))
    held = (table.covers[np.maximum(periods.of_slot, 0)] & POSSIBLE).reshape(12, -1).any(axis=1)
    return set((np.flatnonzero(held) + 1).tolist())


def _compile_time_of_use(step: TimeOfUse | None) -> UsePeriods | None:
    if step is None:
        return None
    of_slot = np.full(SLOTS, -1, np.int64)
    registers: dict[int, int] = {}
    scheduled = [period.name for period in step.periods if period.when is not None]
    for index, period in enumerate(step.periods):
        place = f"time_of_use.periods[{index}]"
        if period.register_code is None and period.when is None:
            raise ParameterError(place, period.name, "give its register, its windows (when), or both")
        if period.register_code is not None and registers.setdefault(period.register_code, index) != index:
            raise ParameterError(f"{place}.register", period.register_code, "another period has this register")
        held = compile_windows(period.when or [], f"{place}.when")
        if (twice := np.flatnonzero(held & (of_slot >= 0) & POSSIBLE)).size:
            raise ParameterError(f"{place}.when", describe_slot(int(twice[0])), "another period holds then")
        of_slot[held] = index
    if scheduled and (free := np.flatnonzero((of_slot < 0) & POSSIBLE)).size:
        raise ParameterError("time_of_use.periods", describe_slot(int(free[0])), "no period holds then")
    names = tuple(period.name for period in step.periods)
    if len(set(names)) != len(names):
        raise ParameterError("time_of_use.periods", list(names), "name each period once")
    codes = sorted(registers)
    at = np.array([registers[code] for code in codes], np.int64)
    windows = [window for period in step.periods for window in period.when or ()]
    schedule = _at("time_of_use", step.calendar, windows)
    return UsePeriods(names, schedule, of_slot, np.array(codes, np.int64), at)


def _at(place: str, calendar: Calendar | None, windows: Sequence[Window]) -> Schedule:
    try:
        return compile_schedule(calendar, windows)
    except ParameterError as error:
        raise ParameterError(f"{place}.{error.path}", error.value, error.remedy) from error


def _compile_demand(step: Demand, names: Sequence[str], scale: int, context: Context) -> DemandProgram:
    slots: list[Bools | None] = []
    edges: list[Ints] = []
    prices: list[Ints] = []
    for index, charge in enumerate(step.charges):
        place = f"demand.charges[{index}]"
        slots.append(compile_windows(charge.when, f"{place}.when") if charge.when else None)
        edges.append(np.array(upper_edges(charge.tiers, f"{place}.tiers", open_end=True), np.int64) * 1000)
        own = np.array([tier.price for tier in charge.tiers], np.int64)
        if (own > _PRICE_MAX_YUAN * step.price_scale).any():
            raise ParameterError(f"{place}.tiers", int(own.max()), f"no kW costs above {_PRICE_MAX_YUAN} yuan")
        prices.append(own * (scale // step.price_scale))
    if step.assessed == "daily" and step.ratchet is not None:
        raise ParameterError("demand.ratchet", "daily", "a ratchet looks back over months: assess monthly")
    highest = max(int(own.max()) for own in prices)
    return DemandProgram(
        column=names.index(step.component),
        daily=step.assessed == "daily",
        schedule=_at("demand", step.calendar, [window for charge in step.charges for window in charge.when]),
        slots=tuple(slots),
        edges=tuple(edges),
        prices=tuple(prices),
        ratchet=step.ratchet,
        demand_max=min(QUANTITY_MAX, 2**63 // (100 * max(highest, 1))),
    )


def _compile_fixed(place: str, step: Fixed, names: Sequence[str], scale: int) -> FixedProgram:
    highest = max(entry.price for entry in step.prices)
    most = _PRICE_MAX_YUAN if step.per == "day" else 1_000 * _PRICE_MAX_YUAN
    if highest > most * step.price_scale:
        raise ParameterError(f"{place}.prices", highest, f"no fixed charge per {step.per} is above {most} yuan")
    prices = tuple(entry.price * (scale // step.price_scale) for entry in step.prices)
    return FixedProgram(names.index(step.component), step, prices)


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
