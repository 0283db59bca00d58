"""The parts of a household utility tariff: annual tiers, their components, and the size of the household."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Context, PositiveQuantity, Quantity, Strict
from tariffs.rounding import RoundingMode
from tariffs.transit.scales import upper_edges

UnitPrice = Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
"""1/10,000 yuan per unit."""


class Tier(Strict):
    """Unit prices by component up to and including ``up_to`` whole units a year."""

    up_to: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    prices: Annotated[dict[str, UnitPrice], Field(min_length=1)]


class Tiers(Strict):
    """Annual tiers billed in pieces: a bill is F(cumulated + usage) − F(cumulated).

    ``rounding_of: running_total`` rounds F, so that the bills of a year add up to the rounded year whatever
    the reading dates; ``bill`` rounds each difference. Either way every component is rounded by itself and
    the gross amount is their sum.
    """

    per: Literal["account"]
    period: Literal["calendar_year"]
    tiers: Annotated[list[Tier], Field(min_length=1)]
    rounding: RoundingMode
    rounding_of: Literal["running_total", "bill"]


class Household(Strict):
    """Every person above ``base_persons`` widens each tier edge by its number of units a year.

    When the size changes within a year the usage so far is kept and priced by the new edges from then on.
    """

    base_persons: PositiveQuantity
    units_per_extra_person: Annotated[list[Quantity], Field(min_length=1)]
    extra_persons_max: PositiveQuantity
    on_change: Literal["keep_cumulated_usage"]


UtilityStep = Tiers | Household


@dataclass(frozen=True)
class UtilityProgram:
    """Compiled utility tariff of K tiers and C components.

    ``edges`` int64 (K − 1,) in thousandths of a unit; ``prices`` int64 (K, C) in 1/10,000 yuan per unit;
    ``edge_per_person`` int64 (K − 1,), thousandths per extra person.
    """

    edges: Ints
    prices: Ints
    component_names: tuple[str, ...]
    rounding: RoundingMode
    rounding_of: Literal["running_total", "bill"]
    base_persons: int
    extra_persons_max: int
    edge_per_person: Ints
    first_rule: int


def compile_utility(steps: Sequence[tuple[str, UtilityStep]], context: Context) -> UtilityProgram:
    """Assemble the program; ParameterError when parts are missing, out of order or do not fit each other."""
    match [step for _, step in steps]:
        case [Tiers() as tiers]:
            household = None
        case [Household() as household, Tiers() as tiers]:
            pass
        case _:
            names = [name for name, _ in steps]
            raise ParameterError("steps", names, "write household (optional), then tiers, each once")
    edges = upper_edges(tiers.tiers, "tiers.tiers", open_end=True)
    names = list(tiers.tiers[0].prices)
    for index, tier in enumerate(tiers.tiers):
        if list(tier.prices) != names:
            place = f"tiers.tiers[{index}].prices"
            raise ParameterError(place, list(tier.prices), f"name the same components in every tier: {names}")
    per_person = household.units_per_extra_person if household else [0] * len(edges)
    if len(per_person) != len(edges):
        place = "household.units_per_extra_person"
        raise ParameterError(place, per_person, f"give one number per finite tier ({len(edges)})")
    if any(later < earlier for earlier, later in pairwise(per_person)):
        place = "household.units_per_extra_person"
        raise ParameterError(place, per_person, "numbers must not fall, or tiers overlap")
    rules = [context.rule(f"tiers[{index + 1}]") for index in range(len(tiers.tiers))]
    return UtilityProgram(
        edges=np.array(edges, np.int64) * 1000,
        prices=np.array([[tier.prices[name] for name in names] for tier in tiers.tiers], np.int64),
        component_names=tuple(names),
        rounding=tiers.rounding,
        rounding_of=tiers.rounding_of,
        base_persons=household.base_persons if household else 1,
        extra_persons_max=household.extra_persons_max if household else 1,
        edge_per_person=np.array(per_person, np.int64) * 1000,
        first_rule=rules[0],
    )
