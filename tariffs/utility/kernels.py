"""Every jitted function of the utility steps: arrays in, arrays out, nothing imported from other files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def buy_units(
    order: Ints, group: Ints, money: Ints, edges: Ints, prices: Ints, step: int, cumulated: Ints, bought: Ints
) -> None:
    """Turn purchases into usage, each at the tiers its account has reached.

    ``order`` lists row numbers by account and sequence. ``group``, ``money`` (1/(10 × price_scale) fen; negative =
    no purchase) and ``edges`` (rows, K − 1) are per row, ``prices`` int64 (K,) > 0 per tier. ``cumulated`` per
    group is moved by what each row buys or, without a purchase, by what ``bought`` already holds. Fills
    ``bought`` with whole multiples of ``step`` thousandths. A loop, because what a purchase buys depends on what
    the ones before it bought.
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
