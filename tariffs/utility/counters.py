"""What an account has used, and for how long, before each row of its tariff period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Ints
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
    compiled: CompiledTariff, frame: Tiers, usages: UtilityUsages, priced: Bools, bills: Bills, state: UtilityState
) -> Periods:
    """Put the rows that are ``priced`` and the state together by (account, tariff period)."""
    if frame.period == "bill":
        days = bills.running(usages.days)[1]
        return Periods(None, days, days)
    year = period_days(usages.period_day, frame.period)
    if frame.on_price_change == "prorate":
        key, days = piece_of_year(usages.period_day, compiled.first_day, compiled.last_day)
    else:
        key, days = period_key(usages.period_day, frame.period), year
    groups = group_rows(
        state.account, state.year, usages.account, key, usages.sequence, chosen=priced, threads=bills.threads
    )
    return Periods(groups, days, year)


def cumulate(groups: Groups, amounts: Ints, carried: Ints) -> tuple[Ints, Ints]:
    """What the group of each row had before it, beginning with ``carried`` per group, and what groups have after."""
    before, total = np.zeros(len(amounts), np.int64), carried.copy()

    def walk(first: int, last: int) -> None:
        kernels.cumulate(groups.order, groups.begins, groups.of_run, first, last, amounts, total, before)

    groups.each_run(walk)
    return before, total


@dataclass(frozen=True)
class Counted:
    """Counters before each row (``before``, usage; ``terms``) and those after the batch."""

    usage: Ints
    before: Ints
    terms: Terms
    after: UtilityState


def count(
    program: UtilityProgram, usages: UtilityUsages, usage: Ints, periods: Periods, bills: Bills, state: UtilityState
) -> Counted:
    """Walk the counters of usage, and of days and persons where households are prorated, through a batch.

    ``usage`` int64 (rows,) is zero on rows that are not priced; that of purchases is found here.
    """
    extra = extra_persons(program, usages.household)
    peak = bills.running(usages.demand_milli)[2]
    groups = periods.groups
    if groups is None:
        terms = Terms(extra, False, periods.days, periods.year, peak)
        return Counted(usage, bills.running(usage)[0] - usage, terms, state)
    days, persons = groups.carried(state.days), groups.carried(state.extra_person_days)
    terms = Terms(extra, False, periods.days, periods.year, peak)
    if program.household is not None and program.household.on_change == "prorate_by_days":
        days_before, days = cumulate(groups, usages.days, days)
        persons_before, persons = cumulate(groups, extra * usages.days, persons)
        widening = persons_before + extra * np.maximum(periods.days - days_before, 0)
        terms = Terms(widening, True, periods.days, periods.year, peak)
    carried = groups.carried(state.usage_milli)
    if program.prepaid is not None:
        usage = _bought_usage(program, usages, usage, terms, groups, carried)
    before, used = cumulate(groups, usage, carried)
    zeros = np.zeros(len(used), np.int64)
    return Counted(usage, before, terms, UtilityState(groups.owner, groups.year, used, zeros, zeros, days, persons))


def _bought_usage(
    program: UtilityProgram, usages: UtilityUsages, usage: Ints, terms: Terms, groups: Groups, carried: Ints
) -> Ints:
    """Usage of each row; that of a purchase is what its money buys."""
    assert program.prepaid is not None
    money = np.where(usages.purchase > 0, usages.purchase * (10 * program.price_scale), -1)
    bought = usage.copy()
    [tables] = program.tables
    chosen = tables.choice.of(usages)
    kernels.buy_units(
        groups.order,
        groups.of_row,
        money,
        tier_edges(tables, chosen, usages, terms),
        tables.prices[0, :, 0, :].sum(axis=1),
        program.prepaid.unit_step_milli,
        carried.copy(),
        bought,
    )
    return bought
