"""Every jitted function of the utility steps: arrays in, arrays out, nothing imported from other files.

``order`` lists row numbers; run r of it goes from ``begins[r]`` to ``begins[r + 1]`` (the rows of a bill, or of an
account's period, by sequence). Threads walk ranges of runs, ``first`` to ``last``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
HALF_UP, HALF_EVEN, DOWN, UP = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def divide_rounded(numerator: int, denominator: int, rounding: int) -> int:
    """``numerator / denominator`` for ``numerator`` ≥ 0, by the named rounding."""
    quotient = numerator // denominator
    rest = numerator - quotient * denominator
    if rounding == HALF_UP:
        quotient += 2 * rest >= denominator
    elif rounding == HALF_EVEN:
        quotient += 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    elif rounding == UP:
        quotient += rest > 0
    return quotient


@njit(cache=True, nogil=True)
def within(column: Ints, low: int, high: int, good: Bools) -> None:
    """Clear ``good`` where a column lies outside ``low`` to ``high``."""
    for row in range(len(column)):
        good[row] &= low <= column[row] <= high


@njit(cache=True, nogil=True)
def cumulate(
    order: Ints, begins: Ints, group: Ints, first: int, last: int, amounts: Ints, total: Ints, before: Ints
) -> None:
    """Fill ``before`` of each row with what its group had; ``total`` per group is carried in and out."""
    for run in range(first, last):
        at = total[group[run]]
        for position in range(begins[run], begins[run + 1]):
            row = order[position]
            before[row] = at
            at += amounts[row]
        total[group[run]] = at


@njit(cache=True, nogil=True)
def running(
    order: Ints, begins: Ints, first: int, last: int, amounts: Ints, until: Ints, total: Ints, most: Ints
) -> None:
    """Per row: sum of its run up to and with it, sum of the whole run, and largest amount of the run."""
    for run in range(first, last):
        at = highest = 0
        for position in range(begins[run], begins[run + 1]):
            at += amounts[order[position]]
            highest = max(highest, amounts[order[position]])
            until[order[position]] = at
        for position in range(begins[run], begins[run + 1]):
            total[order[position]] = at
            most[order[position]] = highest


@njit(cache=True, nogil=True)
def peaks(
    order: Ints,
    begins: Ints,
    group: Ints,
    first: int,
    last: int,
    demand: Ints,
    known: Bools,
    highest: Ints,
    before: Ints,
    after: Ints,
) -> None:
    """Peak before (−1 = first row of an unknown period) and after each row; ``highest`` per group in and out."""
    for run in range(first, last):
        peak = highest[group[run]] if known[group[run]] else -1
        for position in range(begins[run], begins[run + 1]):
            row = order[position]
            before[row] = peak
            peak = max(peak, demand[row])
            after[row] = peak
        highest[group[run]] = peak


@njit(cache=True, nogil=True)
def buy_units(
    order: Ints, group: Ints, money: Ints, edges: Ints, prices: Ints, step: int, cumulated: Ints, bought: Ints
) -> None:
    """Turn purchases into usage, each at the tiers its account has reached.

    ``group``, ``money`` (1/(10 × price_scale) fen; negative = no purchase) and ``edges`` (rows, K − 1) are per row,
    ``prices`` int64 (K,) > 0 per tier. ``cumulated`` per group is moved by what each row buys or, without a
    purchase, by what ``bought`` already holds. Fills ``bought`` with whole multiples of ``step`` thousandths. A
    loop, because what a purchase buys depends on what the ones before it bought.
    """
    tiers = len(prices)
    for position in range(len(order)):
        row = order[position]
        owner = group[row]
        if money[row] >= 0:
            at = cumulated[owner]
            left = money[row]
            units = 0
            for tier in range(tiers):
                affordable = left // prices[tier]
                if tier < tiers - 1:
                    room = max(edges[row, tier] - at, 0)
                    if affordable >= room:
                        units += room
                        at += room
                        left -= room * prices[tier]
                        continue
                units += affordable
                break
            bought[row] = units // step * step
        cumulated[owner] += bought[row]


@njit(cache=True, nogil=True)
def below_in_order(edges: Ints, before: Ints, usage: Ints, below: Ints, tier: Ints) -> None:
    """The part of each row's usage below each edge, filling the tiers from ``before`` on, and the last tier used."""
    for row in range(len(usage)):
        low, high, reached = before[row], before[row] + usage[row], 0
        for k in range(edges.shape[1]):
            edge = edges[row, k]
            below[row, k] = min(high, edge) - min(low, edge)
            reached += edge < high
        tier[row] = reached


@njit(cache=True, nogil=True)
def tier_amounts(below: Ints, usage: Ints, use_period: Ints, prices: Ints, exact: Ints) -> None:
    """Value usage at the last tier, and what lies below each edge at the difference to the next tier.

    ``below`` (rows, K − 1), ``usage`` and ``use_period`` (rows,), ``prices`` (K, times of use, components); fills
    ``exact`` (rows, components). A loop, because whole columns of products do not fit into the cache.
    """
    last = prices.shape[0] - 1
    for row in range(len(usage)):
        period = max(use_period[row], 0)
        for component in range(prices.shape[2]):
            value = usage[row] * prices[last, period, component]
            for tier in range(last):
                step = prices[tier, period, component] - prices[tier + 1, period, component]
                value += below[row, tier] * step
            exact[row, component] = value


@njit(cache=True, nogil=True)
def round_bills(
    order: Ints,
    begins: Ints,
    first: int,
    last: int,
    exact: Ints,
    divisor: int,
    roundings: Ints,
    components: Ints,
    gross: Ints,
    totals: Ints,
) -> None:
    """Add to ``components`` what each row adds to the rounded bill; fill ``gross`` of rows, ``totals`` of bills."""
    for run in range(first, last):
        for component in range(len(roundings)):
            at = given = 0
            for position in range(begins[run], begins[run + 1]):
                row = order[position]
                at += exact[row, component]
                fen = divide_rounded(at, divisor, roundings[component])
                components[row, component] += fen - given
                given = fen
        bill = 0
        for position in range(begins[run], begins[run + 1]):
            row = order[position]
            whole = 0
            for component in range(len(roundings)):
                whole += components[row, component]
            gross[row] = whole
            bill += whole
        totals[run] = bill
