"""Compile tiers steps: edges as sums of parts, prices of one scale, alternatives side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Context
from tariffs.rounding import KERNEL_ROUNDING, RoundingMode
from tariffs.transit.scales import upper_edges
from tariffs.utility import kernels
from tariffs.utility.choice import Choice, compile_choice
from tariffs.utility.steps import Household, Tier, Tiers
from tariffs.utility.times_of_use import UsePeriods
from tariffs.utility.windows import POSSIBLE

PRICE_MAX_YUAN = 1_000
"""Most that a unit costs."""


@dataclass(frozen=True)
class TierTables:
    """Tiers steps with the same components, of which one holds for a row; tables padded to K tiers.

    int64: ``tiers`` and ``first_rule`` (steps,), ``edges`` (steps, K − 1, EDGE_PARTS) in thousandths of a unit or
    1/10,000 of a budget, ``budgets`` (steps, BUDGET_PARTS), ``prices`` (steps, K, times of use, components) in
    1/scale yuan per unit. ``columns`` are the components within those of the tariff, side by side.
    """

    choice: Choice
    columns: tuple[int, ...]
    tiers: Ints
    edges: Ints
    budgets: Ints
    prices: Ints
    first_rule: Ints
    rounding: RoundingMode

    @property
    def arrays(self) -> kernels.Tables:
        """As the kernels read them."""
        return self.tiers, self.edges, self.budgets, self.prices, self.first_rule


@dataclass(frozen=True)
class _Table:
    """One tiers step: its K tiers, not yet padded."""

    step: Tiers
    columns: tuple[int, ...]
    covers: Bools
    edges: Ints
    budget: Ints
    prices: Ints
    first_rule: int


def compile_tables(
    steps: Sequence[tuple[str, Tiers]],
    household: Household | None,
    periods: UsePeriods | None,
    names: Sequence[str],
    scale: int,
    context: Context,
) -> tuple[TierTables, ...]:
    """Tiers steps by the components they give; ParameterError where one does not fit itself or the others."""
    tables = [_compile_tiers(place, step, household, periods, names, scale, context) for place, step in steps]
    _check_alternatives(tables, periods)
    alternatives = {table.columns: [t for t in tables if t.columns == table.columns] for table in tables}
    return tuple(_stack(columns, group) for columns, group in alternatives.items())


def _stack(columns: tuple[int, ...], group: Sequence[_Table]) -> TierTables:
    """Alternatives padded to the most tiers any of them has."""
    most = max(len(table.prices) for table in group)
    edges = np.zeros((len(group), most - 1, kernels.EDGE_PARTS), np.int64)
    prices = np.zeros((len(group), most, *group[0].prices.shape[1:]), np.int64)
    for index, table in enumerate(group):
        edges[index, : len(table.edges)] = table.edges
        prices[index, : len(table.prices)] = table.prices
    return TierTables(
        choice=compile_choice([table.step.only for table in group], np.array([table.covers for table in group])),
        columns=columns,
        tiers=np.array([len(table.prices) for table in group], np.int64),
        edges=edges,
        budgets=np.array([table.budget for table in group], np.int64),
        prices=prices,
        first_rule=np.array([table.first_rule for table in group], np.int64),
        rounding=group[0].step.rounding,
    )


def _compile_tiers(
    place: str,
    step: Tiers,
    household: Household | None,
    periods: UsePeriods | None,
    names: Sequence[str],
    scale: int,
    context: Context,
) -> _Table:
    own = list(step.tiers[0].prices)
    for index, tier in enumerate(step.tiers):
        if list(tier.prices) != own:
            where = f"{place}.tiers[{index}].prices"
            raise ParameterError(where, list(tier.prices), f"name the same components in every tier: {own}")
    edges = _tier_edges(place, step)
    edges[:, kernels.PER_PERSON] = _per_person(place, household, edges[:, kernels.FIXED])
    covers = _covered_periods(place, step, periods)
    prices = np.array([[_prices(tier, covered, own) for covered in covers] for tier in step.tiers], np.int64)
    if (prices > PRICE_MAX_YUAN * step.price_scale).any():
        raise ParameterError(f"{place}.tiers", int(prices.max()), f"no unit costs above {PRICE_MAX_YUAN} yuan")
    rules = [context.rule(f"{step.name}[{index + 1}]") for index in range(len(step.tiers))]
    budget = np.zeros(kernels.BUDGET_PARTS, np.int64)
    if step.budget is not None:
        budget[kernels.STEP] = step.budget.round_to_milli
        budget[kernels.ROUNDING] = KERNEL_ROUNDING[step.budget.rounding]
        budget[kernels.PERSON] = step.budget.per_person_milli
        budget[kernels.PERSON_DAY] = step.budget.per_person_day_milli
    return _Table(
        step=step,
        columns=tuple(names.index(name) for name in own),
        covers=np.array([covered is not None for covered in covers]),
        edges=edges,
        budget=budget,
        prices=prices * (scale // step.price_scale),
        first_rule=rules[0],
    )


_PART_OF_WAY = {"per_day": kernels.PER_DAY, "per_kw": kernels.PER_KW, "per_kw_day": kernels.PER_KW_DAY}


def _tier_edges(place: str, step: Tiers) -> Ints:
    """Parts of each edge (K − 1, EDGE_PARTS); all edges of a step are written in one way, the last tier has none."""
    finite, last = step.tiers[:-1], step.tiers[-1]
    edges = np.zeros((len(finite), kernels.EDGE_PARTS), np.int64)
    shares = [tier.up_to_budget for tier in finite if tier.up_to_budget is not None]
    scaled = {
        name: [getattr(t, f"up_to_{name}_milli") for t in step.tiers] for name in ("per_day", "per_kw", "per_kw_day")
    }
    scaled = {way: values for way, values in scaled.items() if any(v is not None for v in values)}
    ways = bool(shares) + len(scaled) + any(tier.up_to is not None for tier in finite)
    if ways > 1 or last.up_to_budget is not None or any(values[-1] is not None for values in scaled.values()):
        remedy = "write all edges of a step in one way, and leave the last tier open"
        raise ParameterError(f"{place}.tiers", [tier.prices for tier in step.tiers], remedy)
    if (step.budget is not None) != bool(shares):
        raise ParameterError(f"{place}.budget", bool(shares), "write a budget and up_to_budget together")
    if shares and len(shares) == len(finite):
        edges[:, kernels.PERSONS_SHARE] = _rising(
            f"{place}.tiers", [share.persons_per_10000 for share in shares], strictly=False
        )
        edges[:, kernels.ALLOWANCE_SHARE] = _rising(
            f"{place}.tiers", [share.allowance_per_10000 for share in shares], strictly=False
        )
        return edges
    for way, values in scaled.items():
        finite_edges = [value for value in values[:-1] if value is not None]
        if len(finite_edges) == len(finite):
            edges[:, _PART_OF_WAY[way]] = _rising(f"{place}.tiers", finite_edges, strictly=True)
            return edges
    units = upper_edges(step.tiers, f"{place}.tiers", open_end=True)
    edges[:, kernels.FIXED] = np.array(units, np.int64).reshape(-1) * 1000
    return edges


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


def _check_alternatives(tables: Sequence[_Table], periods: UsePeriods | None) -> None:
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
            if table.step.only == earlier.step.only and _months(table, periods) & _months(earlier, periods):
                remedy = "two tiers steps hold for the same customers in one month: tell them apart by `only`"
                raise ParameterError("steps", sorted(_months(table, periods) & _months(earlier, periods)), remedy)


def _months(table: _Table, periods: UsePeriods | None) -> set[int]:
    """Months in which a step has a price by its times of use; all of them where the clock does not tell."""
    if periods is None or (periods.of_slot < 0)[POSSIBLE].any():
        return set(range(1, 13))
    held = (table.covers[np.maximum(periods.of_slot, 0)] & POSSIBLE).reshape(12, -1).any(axis=1)
    return set((np.flatnonzero(held) + 1).tolist())
