"""Demand charges: each new peak of a period pays for what it exceeds the peak carried so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.owners import Groups, group_rows
from tariffs.rounding import RATIO_ONE, divide
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityState, UtilityUsages
from tariffs.utility.periods import day_key, period_key
from tariffs.utility.program import DemandProgram
from tariffs.utility.steps import Ratchet


@dataclass(frozen=True)
class DemandPrices:
    """Exact amounts per row in 1/(10 × price_scale) fen, and the peaks after them."""

    exact: Ints
    peaks: UtilityState


def price_demand(
    program: DemandProgram, usages: UtilityUsages, priced: Bools, state: UtilityState, threads: int
) -> DemandPrices:
    """Charge the peaks of the rows that are ``priced`` after those in ``state`` (rows with a register above 0).

    A row whose half hour is unknown counts only for charges that hold at all times.
    """
    slots = program.schedule.slots(usages.period_day, usages.minute)
    key = day_key(usages.period_day) if program.daily else period_key(usages.period_day, "calendar_month")
    exact = np.zeros(len(usages), np.int64)
    grouped = None
    peaks: list[UtilityState] = []
    for index, (held, edges, prices) in enumerate(zip(program.slots, program.edges, program.prices, strict=True)):
        known = state.take(state.register == index + 1)
        if grouped is None or len(known):
            grouped = group_rows(
                known.account, known.year, usages.account, key, usages.sequence, chosen=priced, threads=threads
            )
        groups = grouped
        demand = usages.demand_milli if held is None else np.where((slots >= 0) & held[slots], usages.demand_milli, 0)
        before, after, closing = _running_peaks(groups, demand, groups.carried(known.peak_milli))
        if program.ratchet is not None:
            floor = _floor(program.ratchet, groups, closing)[groups.of_row]
            begun = before >= 0
            after = np.maximum(after, floor)
            before = np.where(begun, np.maximum(before, floor), 0)
        exact += _value(edges, prices, after) - _value(edges, prices, np.maximum(before, 0))
        zeros = np.zeros(len(closing), np.int64)
        peaks.append(UtilityState(groups.owner, groups.year, zeros, zeros + index + 1, closing, zeros, zeros))
    return DemandPrices(exact, UtilityState.concatenate(peaks))


def _running_peaks(groups: Groups, demand: Ints, carried: Ints) -> tuple[Ints, Ints, Ints]:
    """Peak before (−1 = first row of the period) and after each row, and of each group at the end."""
    known = np.zeros(len(carried), np.bool_)
    known[groups.of_state] = True
    before, after = np.full(len(demand), -1, np.int64), np.zeros(len(demand), np.int64)

    def walk(first: int, last: int) -> None:
        kernels.peaks(groups.order, groups.begins, groups.of_run, first, last, demand, known, carried, before, after)

    groups.each_run(walk)
    return before, after, carried


def _floor(ratchet: Ratchet, groups: Groups, closing: Ints) -> Ints:
    """Least billed demand of each (account, month): a share of the highest peak of the months before it."""
    months = groups.year // 100 * 12 + groups.year % 100
    # Groups are sorted by account and month: the months before are among the few groups before.
    highest = np.zeros(len(closing), np.int64)
    for back in range(1, min(ratchet.months, len(closing) - 1) + 1):
        same = (groups.owner[back:] == groups.owner[:-back]) & (months[back:] - months[:-back] <= ratchet.months)
        np.maximum(highest[back:], np.where(same, closing[:-back], 0), out=highest[back:])
    return divide(highest * ratchet.per_10000, RATIO_ONE, ratchet.rounding)


def _value(edges: Ints, prices: Ints, peak: Ints) -> Ints:
    """F of a charge at ``peak`` W."""
    value: Ints = peak * prices[-1]
    for tier, edge in enumerate(edges):
        value += np.minimum(peak, edge) * (prices[tier] - prices[tier + 1])
    return value
