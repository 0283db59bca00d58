"""What an account has used, and for how long, before each row of its tariff period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Ints
from tariffs.compiler import CompiledTariff
from tariffs.owners import Groups, group_rows
from tariffs.utility import kernels
from tariffs.utility.bills import Bills
from tariffs.utility.columns import UtilityState, UtilityUsages
from tariffs.utility.periods import period_days, period_key, piece_of_year
from tariffs.utility.program import UtilityProgram
from tariffs.utility.steps import Tiers
from tariffs.utility.tiers import Terms, extra_persons, tier_edges


@dataclass(frozen=True)
class Periods:
    """The tariff period of each row: its ``days`` and, of a year cut short by new prices, those of the ``year``.

    ``groups`` is None where each bill is a period of its own.
    """

    groups: Groups | None
    days: Ints
    year: Ints


def tariff_periods(
    compiled: CompiledTariff, frame: Tiers, usages: UtilityUsages, bills: Bills, state: UtilityState
) -> Periods:
    """Put rows and state together by (account, tariff period)."""
    if frame.period == "bill":
        days = bills.sums(usages.days)[bills.of_row]
        return Periods(None, days, days)
    year = period_days(usages.period_day, frame.period)
    if frame.on_price_change == "prorate":
        key, days = piece_of_year(usages.period_day, compiled.first_day, compiled.last_day)
    else:
        key, days = period_key(usages.period_day, frame.period), year
    groups = group_rows(state.account, state.year, usages.account, key, usages.sequence)
    return Periods(groups, days, year)


def running_before(groups: Groups, amounts: Ints) -> Ints:
    """Sum of the rows before each row in its group, int64 in the order of the batch."""
    in_order = amounts[groups.order]
    running = np.cumsum(in_order) - in_order
    group = groups.of_row[groups.order]
    begins = np.ones(len(group), np.bool_)
    begins[1:] = group[1:] != group[:-1]
    # The running sum at the beginning of its group is what other accounts have used: take it off.
    running -= running[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    before = np.empty(len(amounts), np.int64)
    before[groups.order] = running
    return before


def pricing_terms(
    program: UtilityProgram, usages: UtilityUsages, periods: Periods, bills: Bills, state: UtilityState
) -> Terms:
    """What the tier edges of each row depend on; ``state`` holds the counters of usage only."""
    extra = extra_persons(program, usages.household)
    peak = bills.highest(usages.demand_milli)[bills.of_row]
    groups = periods.groups
    if groups is None or not _prorates_households(program):
        return Terms(extra, np.ones(len(extra), np.int64), periods.days, periods.year, peak)
    days_before = running_before(groups, usages.days) + groups.carried(state.days)[groups.of_row]
    persons_before = running_before(groups, extra * usages.days)
    persons_before += groups.carried(state.extra_person_days)[groups.of_row]
    widening = persons_before + extra * np.maximum(periods.days - days_before, 0)
    return Terms(widening, periods.days, periods.days, periods.year, peak)


def usage_before(usage: Ints, periods: Periods, bills: Bills, state: UtilityState) -> Ints:
    """Cumulated usage of the tariff period before each row, int64."""
    if periods.groups is None:
        return bills.running(usage) - usage
    return running_before(periods.groups, usage) + periods.groups.carried(state.usage_milli)[periods.groups.of_row]


def counters_after(
    program: UtilityProgram, usages: UtilityUsages, usage: Ints, periods: Periods, state: UtilityState
) -> UtilityState:
    """The counters of usage after the batch; those of bills that are periods of their own are not kept."""
    groups = periods.groups
    if groups is None:
        return state
    used, days, persons = (groups.carried(c) for c in (state.usage_milli, state.days, state.extra_person_days))
    np.add.at(used, groups.of_row, usage)
    if _prorates_households(program):
        np.add.at(days, groups.of_row, usages.days)
        np.add.at(persons, groups.of_row, usages.days * extra_persons(program, usages.household))
    zeros = np.zeros(len(used), np.int64)
    return UtilityState(groups.owner, groups.year, used, zeros, zeros, days, persons)


def bought_usage(
    program: UtilityProgram, usages: UtilityUsages, terms: Terms, periods: Periods, state: UtilityState
) -> Ints:
    """Usage of each row; that of a purchase is what its money buys."""
    groups = periods.groups
    if program.prepaid is None or groups is None:
        return usages.usage_milli
    money = np.where(usages.purchase > 0, usages.purchase * (10 * program.price_scale), -1)
    bought = usages.usage_milli.copy()
    [table] = program.tables
    kernels.buy_units(
        groups.order,
        groups.of_row,
        money,
        tier_edges(table, usages, terms),
        table.prices[:, 0, :].sum(axis=1),
        program.prepaid.unit_step_milli,
        groups.carried(state.usage_milli),
        bought,
    )
    return bought


def _prorates_households(program: UtilityProgram) -> bool:
    return program.household is not None and program.household.on_change == "prorate_by_days"
