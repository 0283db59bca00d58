"""Price usage: tiers by times of use, demand, fixed and minimum charges, late fees, purchases of prepaid meters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tariffs.columns import NULL, Bools, Ints
from tariffs.compiler import CompiledTariff
from tariffs.parameters import QUANTITY_MAX, in_range
from tariffs.rounding import divide
from tariffs.utility.bills import Bills, add_late_fees, group_bills, round_bills, top_up
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.counters import bought_usage, counters_after, pricing_terms, tariff_periods, usage_before
from tariffs.utility.demand import price_demand
from tariffs.utility.program import TierTable, UtilityProgram, admits, selects
from tariffs.utility.steps import Tiers
from tariffs.utility.tiers import PROPORTIONAL_MAX, Terms, amounts, below_in_order, below_in_proportion, tier_edges

_PERSONS_MAX = 10_000
_DAYS_MAX = 3_660


def price_utility(
    compiled: CompiledTariff, usages: UtilityUsages, state: UtilityState
) -> tuple[UtilityPrices, UtilityState]:
    """Price each usage after what its account has used before in the same tariff period.

    Returns prices in the order of ``usages`` and the counters after them; ``state`` is not changed.
    A row with a negative or absurd quantity, without residents, for customers or at a time no price is given for
    is not priced and moves no counter. Raises TariffKindError for another kind, ValueError when an account's
    sequence repeats or a bill shared in proportion lies in two periods.
    """
    program = compiled.utility_program()
    use_period = _use_period(program, usages)
    priced = _priced(program, usages, use_period)
    if priced.all():
        return _price(compiled, usages, use_period, state)
    rows = np.flatnonzero(priced)
    answers, after = _price(compiled, usages.take(rows), use_period[rows], state)
    prices = UtilityPrices(
        gross=_spread(answers.gross, rows, len(usages)),
        components=_spread(answers.components, rows, len(usages)),
        usage_milli=_spread(answers.usage_milli, rows, len(usages)),
        rule=_spread(answers.rule.astype(np.int64), rows, len(usages)).astype(np.uint16),
        segment=np.full(len(usages), compiled.segment, np.uint16),
        priced=priced,
    )
    return prices, after


def _spread(values: Ints, rows: Ints, count: int) -> Ints:
    """``values`` at ``rows`` of ``count`` rows, zeros elsewhere."""
    spread = np.zeros((count, *values.shape[1:]), np.int64)
    spread[rows] = values
    return spread


def _use_period(program: UtilityProgram, usages: UtilityUsages) -> Ints:
    """Index of the time of use of each row, int64; −1 where neither register nor clock tells."""
    periods = program.use_periods
    if periods is None:
        return np.zeros(len(usages), np.int64)
    slots = periods.schedule.slots(usages.period_day, usages.minute)
    by_clock = np.where(slots >= 0, periods.of_slot[slots], -1)
    if not len(periods.registers):
        return np.where(usages.register == NULL, by_clock, -1)
    at = np.minimum(np.searchsorted(periods.registers, usages.register), len(periods.registers) - 1)
    by_register = np.where(periods.registers[at] == usages.register, periods.of_register[at], -1)
    return np.where(usages.register == NULL, by_clock, by_register)


def _priced(program: UtilityProgram, usages: UtilityUsages, use_period: Ints) -> Bools:
    priced = in_range(usages.usage_milli) & (usages.usage_milli <= program.usage_max)
    priced &= in_range(usages.household) & (usages.household > 0)
    priced &= in_range(usages.demand_milli) & in_range(usages.allowance_milli) & in_range(usages.days_overdue)
    priced &= in_range(usages.days) & (usages.days <= _DAYS_MAX)
    priced &= in_range(usages.purchase) & ((usages.purchase == 0) | (program.prepaid is not None))
    if program.tables:
        priced &= np.logical_or.reduce([selects(table, usages, use_period) for table in program.tables])
    if program.demand is not None:
        priced &= usages.demand_milli <= program.demand.demand_max
    if any(table.budget for table in program.tables):
        priced &= usages.household <= _PERSONS_MAX
    for fixed in program.fixed:
        priced &= np.logical_or.reduce([admits(entry.only, usages) for entry in fixed.step.prices])
    if program.frame is not None and program.frame.fill == "in_proportion":
        bills = group_bills(usages)
        total = bills.sums(np.where(priced, np.minimum(usages.usage_milli, QUANTITY_MAX), 0))
        priced &= total[bills.of_row] <= PROPORTIONAL_MAX
    return priced


def _price(
    compiled: CompiledTariff, usages: UtilityUsages, use_period: Ints, state: UtilityState
) -> tuple[UtilityPrices, UtilityState]:
    """Price rows that all have a price."""
    program = compiled.utility_program()
    if program.reading is not None:
        step = program.reading.round_to_milli
        usages = replace(usages, usage_milli=divide(usages.usage_milli, step, program.reading.rounding) * step)
    bills = group_bills(usages)
    shape = (len(usages), len(program.component_names))
    exact, fen = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    usage, rule, used = usages.usage_milli, np.zeros(len(usages), np.int64), state
    if program.frame is not None:
        used = state.take(state.register == 0)
        periods = tariff_periods(compiled, program.frame, usages, bills, used)
        terms = pricing_terms(program, usages, periods, bills, used)
        usage = bought_usage(program, usages, terms, periods, used)
        before = usage_before(usage, periods, bills, used)
        work = _Work(usages, usage, use_period, before, terms, bills)
        rule = _add_tiers(program, program.frame, work, exact, fen)
        used = counters_after(program, usages, usage, periods, used)
    if program.demand is not None:
        demanded = price_demand(program.demand, usages, state)
        exact[:, program.demand.column] = demanded.exact
        used = _merged(used.take(used.register == 0), demanded.peaks)
    _add_fixed(program, usages, bills, exact)
    components = fen + round_bills(exact, 10 * program.price_scale, program.roundings, bills)
    if program.prepaid is not None:
        remainder = usages.purchase - components.sum(axis=1)
        components[:, program.column(program.prepaid.remainder_to)] += np.where(usages.purchase > 0, remainder, 0)
    if program.minimum is not None:
        needed = admits(program.minimum.only, usages)
        top_up(program.minimum, program.column(program.minimum.component), components, bills, needed)
    if program.late_fee is not None:
        column = program.column(program.late_fee.component)
        add_late_fees(program.late_fee, column, components, bills, usages.days_overdue)
    prices = UtilityPrices(
        gross=components.sum(axis=1),
        components=components,
        usage_milli=usage,
        rule=rule.astype(np.uint16),
        segment=np.full(len(usages), compiled.segment, np.uint16),
        priced=np.ones(len(usages), np.bool_),
    )
    return prices, used


@dataclass(frozen=True)
class _Work:
    """The rows of a batch on their way through the tiers."""

    usages: UtilityUsages
    usage: Ints
    use_period: Ints
    before: Ints
    terms: Terms
    bills: Bills


def _add_tiers(program: UtilityProgram, frame: Tiers, work: _Work, exact: Ints, fen: Ints) -> Ints:
    """Add the tiers of every step to ``exact`` or ``fen``; return the rule of each row.

    The first step that selects a row gives its components, and the very first of all its rule.
    """
    rule = np.zeros(len(work.usage), np.int64)
    open_rows = {table.columns: np.ones(len(rule), np.bool_) for table in program.tables}
    after = work.before + work.usage
    for table in program.tables:
        chosen = selects(table, work.usages, work.use_period) & open_rows[table.columns]
        open_rows[table.columns] &= ~chosen
        # All rows are read in place; some are copied out.
        rows = slice(None) if chosen.all() else np.flatnonzero(chosen)
        edges = tier_edges(table, work.usages.take(rows), work.terms.take(rows))
        # The components of a step lie side by side, in the order of the file.
        cells = (rows, slice(table.columns[0], table.columns[-1] + 1))
        if frame.rounding_of == "running_total":
            fen[cells] = _running_total(program, table, edges, work.before[rows], after[rows])
        else:
            below = _below(frame, edges, work, rows)
            exact[cells] = amounts(table, below, work.usage[rows], work.use_period[rows])
        tier = np.zeros(len(edges), np.int64)
        for edge in edges.T:
            tier += edge < after[rows]
        rule[rows] = np.where(rule[rows] > 0, rule[rows], table.first_rule + tier)
    return rule


def _below(frame: Tiers, edges: Ints, work: _Work, rows: slice | Ints) -> Ints:
    before = work.before[rows]
    if frame.fill == "in_reading_order":
        return below_in_order(edges, before, before + work.usage[rows])
    bills = work.bills
    bill_before = work.before - (bills.running(work.usage) - work.usage)
    if (bill_before != bill_before[bills.first][bills.of_row]).any():
        raise ValueError("a bill shared in proportion lies in two tariff periods, or between other readings")
    return below_in_proportion(edges, bill_before[rows], work.usage, bills, rows)


def _running_total(program: UtilityProgram, table: TierTable, edges: Ints, before: Ints, after: Ints) -> Ints:
    """Rounded F(after) − F(before) per component, int64 (rows, components of the table)."""
    nothing = np.zeros_like(before)
    totals = [
        divide(
            amounts(table, np.minimum(reached[:, None], edges), reached, nothing),
            10 * program.price_scale,
            table.rounding,
        )
        for reached in (before, after)
    ]
    return totals[1] - totals[0]


def _add_fixed(program: UtilityProgram, usages: UtilityUsages, bills: Bills, exact: Ints) -> None:
    for fixed in program.fixed:
        price = np.zeros(len(usages), np.int64)
        for entry, own in reversed(list(zip(fixed.step.prices, fixed.prices, strict=True))):
            price[admits(entry.only, usages)] = own
        if fixed.step.per == "day":
            exact[:, fixed.column] += price * usages.days * 1000
        else:
            exact[bills.first, fixed.column] += price[bills.first] * 1000


def _merged(used: UtilityState, peaks: UtilityState) -> UtilityState:
    """Counters of usage and of demand in one state, sorted."""
    both = UtilityState.concatenate([used, peaks])
    return both.take(np.lexsort((both.register, both.year, both.account)))
