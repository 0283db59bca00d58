"""Price household usage by annual tiers: a bill is the rise of one cumulative function."""

from __future__ import annotations

import numpy as np

from tariffs.columns import Ints
from tariffs.compiler import CompiledTariff
from tariffs.owners import calendar_year, group_rows
from tariffs.parameters import in_range
from tariffs.rounding import divide
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.steps import UtilityProgram

_MILLI_UNITS_TIMES_PRICE_PER_FEN = 100_000
"""usage/1000 × price/10,000 yuan × 100 fen = usage × price / 100,000 fen."""


def price_utility(
    compiled: CompiledTariff, usages: UtilityUsages, state: UtilityState
) -> tuple[UtilityPrices, UtilityState]:
    """Price each usage after what its account has used before in the same calendar year.

    Returns prices in the order of ``usages`` and the cumulated usage after them; ``state`` is not changed.
    A row with a negative or absurd usage or without residents is not priced and moves no counter.
    Raises TariffKindError for another kind, ValueError when an account's sequence repeats.
    """
    program = compiled.utility_program()
    year = calendar_year(usages.period_day)
    groups = group_rows(state.account, state.year, usages.account, year, usages.sequence)
    priced = in_range(usages.usage_milli) & in_range(usages.household) & (usages.household > 0)
    usage = np.where(priced, usages.usage_milli, 0)
    opening = groups.carried(state.usage_milli)

    in_order = usage[groups.order]
    running = np.cumsum(in_order) - in_order
    group = groups.of_row[groups.order]
    begins = np.ones(len(group), np.bool_)
    begins[1:] = group[1:] != group[:-1]
    # The running sum at the beginning of its group is what other accounts have used: take it off.
    running -= running[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    before = np.empty(len(usage), np.int64)
    before[groups.order] = running + opening[group]

    edges = _edges(program, np.where(priced, usages.household, program.base_persons))
    components = _charges(program, edges, before, before + usage)
    components[~priced] = 0
    np.add.at(opening, groups.of_row, usage)
    tier = (edges < (before + usage)[:, None]).sum(axis=1)
    prices = UtilityPrices(
        gross=components.sum(axis=1),
        components=components,
        rule=np.where(priced, program.first_rule + tier, 0).astype(np.uint16),
        segment=np.full(len(usages), compiled.segment, np.uint16),
        priced=priced,
    )
    return prices, UtilityState(groups.owner, groups.year, opening)


def _edges(program: UtilityProgram, household: Ints) -> Ints:
    """Tier edges of each household, int64 of shape (rows, tiers − 1), in thousandths of a unit."""
    extra = np.clip(household - program.base_persons, 0, program.extra_persons_max)
    edges: Ints = program.edges + extra[:, None] * program.edge_per_person
    return edges


def _charges(program: UtilityProgram, edges: Ints, before: Ints, after: Ints) -> Ints:
    """Fen per component for the usage from ``before`` to ``after``, int64 of shape (rows, components)."""
    if program.rounding_of == "bill":
        difference = _value(program, edges, after) - _value(program, edges, before)
        return divide(difference, _MILLI_UNITS_TIMES_PRICE_PER_FEN, program.rounding)
    total = divide(_value(program, edges, after), _MILLI_UNITS_TIMES_PRICE_PER_FEN, program.rounding)
    total -= divide(_value(program, edges, before), _MILLI_UNITS_TIMES_PRICE_PER_FEN, program.rounding)
    return total


def _value(program: UtilityProgram, edges: Ints, cumulated: Ints) -> Ints:
    """F of each component at ``cumulated``, exact in 1/100,000 fen; int64 of shape (rows, components)."""
    value: Ints = cumulated[:, None] * program.prices[0]
    for tier in range(1, len(program.prices)):
        above = np.maximum(cumulated - edges[:, tier - 1], 0)
        value += above[:, None] * (program.prices[tier] - program.prices[tier - 1])
    return value
