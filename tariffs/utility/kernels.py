"""Every jitted function of the utility steps: arrays in, arrays out, nothing imported from other files.

``order`` lists row numbers; run r of it goes from ``begins[r]`` to ``begins[r + 1]`` (the rows of a bill, or of an
account's period, by sequence). Threads walk ranges of runs, ``first`` to ``last``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.int8]
Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int16]
Tables = tuple[Ints, Ints, Ints, Ints, Ints]
RATIO_ONE = 10_000
HALF_UP, HALF_EVEN, DOWN, UP = 0, 1, 2, 3
FIXED, PER_PERSON, PER_DAY, PER_KW, PER_KW_DAY, PERSONS_SHARE, ALLOWANCE_SHARE, EDGE_PARTS = 0, 1, 2, 3, 4, 5, 6, 7
"""What a tier edge is a sum of."""
STEP, ROUNDING, PERSON, PERSON_DAY, BUDGET_PARTS = 0, 1, 2, 3, 4
"""A budget; step 0 = none."""


@njit(cache=True, nogil=True)
def divide_rounded(numerator: int, denominator: int, rounding: int) -> int:
    """``numerator / denominator`` for ``numerator`` ≥ 0, by the named rounding."""
    # Both are positive, and unsigned division needs no care for signs.
    quotient = np.int64(np.uint64(numerator) // np.uint64(denominator))
    return int(quotient + goes_up(quotient, numerator - quotient * denominator, denominator, rounding))


@njit(cache=True, nogil=True)
def fen_of(exact: int, divisor: int, rounding: int) -> int:
    """As :func:`divide_rounded` by ten times a price scale: a division by a constant costs a multiplication."""
    number = np.uint64(exact)
    if divisor == 100_000:
        quotient = np.int64(number // np.uint64(100_000))
    elif divisor == 10_000_000:
        quotient = np.int64(number // np.uint64(10_000_000))
    else:
        quotient = np.int64(number // np.uint64(divisor))
    return int(quotient + goes_up(quotient, exact - quotient * divisor, divisor, rounding))


@njit(cache=True, nogil=True)
def goes_up(quotient: int, rest: int, denominator: int, rounding: int) -> bool:
    """Whether a quotient with this rest is rounded up."""
    if rounding == HALF_UP:
        return 2 * rest >= denominator
    if rounding == HALF_EVEN:
        return 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    return rounding == UP and rest > 0


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
def choose(
    first_code: Ints,
    second_code: Ints,
    use_period: Shorts,
    usage: Ints,
    codes: Ints,
    counts: Ints,
    covers: Bools,
    chosen: Bytes,
) -> None:
    """First alternative that admits each row, −1 = none.

    ``codes`` (alternatives, 2, n) are the admitted values of the two codes, ``counts`` (alternatives, 2) how many of
    them there are (−1 = any); ``covers`` (alternatives, times of use): a row with usage needs its time covered.
    """
    for row in range(len(first_code)):
        found = -1
        for index in range(len(counts)):
            period = use_period[row]
            if usage[row] != 0 and (period < 0 or not covers[index, period]):
                continue
            if among(first_code[row], codes[index, 0], counts[index, 0]) and among(
                second_code[row], codes[index, 1], counts[index, 1]
            ):
                found = index
                break
        chosen[row] = found


@njit(cache=True, nogil=True)
def among(code: int, codes: Ints, count: int) -> bool:
    """Whether a code is one of the first ``count``; −1 admits all."""
    if count < 0:
        return True
    found = False
    for index in range(count):
        found |= codes[index] == code
    return found


@njit(cache=True, nogil=True)
def edge_of(parts: tuple[int, int, int, int, int], widening: int, over: int, days: int, year: int, peak: int) -> int:
    """A tier edge of a row in thousandths, the sum of its parts but budgets; fractions of each part are dropped.

    ``parts``: fixed, per person, day, kW, kW and day. Numbers, not the table they stand in: a kernel that hands an
    array on counts its references, at every row, in a place that all threads share.
    """
    fixed, per_person, per_day, per_kw, per_kw_day = parts
    at = fixed
    if per_person != 0:
        wider = widening * per_person
        at += wider if over == 1 else wider // over
    if days != year:
        at = at * days // year
    at += days * per_day
    if per_kw + per_kw_day != 0:
        at += peak * per_kw // 1000 + peak * days * per_kw_day // 1000
    return int(at)


@njit(cache=True, nogil=True)
def budget_of(
    budget: tuple[int, int, int, int], shares: tuple[int, int], days: int, household: int, allowance: int
) -> int:
    """Part of a tier edge, in thousandths: shares (1/10,000) of a budget by persons and of the site's allowance.

    ``budget``: step (> 0), rounding, per person, per person and day.
    """
    step, mode, person, person_day = budget
    persons = divide_rounded(household * (person + days * person_day), step, mode) * step
    allowed = divide_rounded(allowance, step, mode) * step
    return divide_rounded(persons * shares[0] + allowed * shares[1], RATIO_ONE * step, mode) * step


@njit(cache=True, nogil=True)
def fill_edges(
    first: int,
    last: int,
    chosen: Bytes,
    tables: Tables,
    prorated: bool,
    widening: Ints,
    days: Ints,
    year: Ints,
    peak: Ints,
    household: Ints,
    allowance: Ints,
    filled: Ints,
) -> None:
    """Tier edges of rows ``first`` to ``last`` into ``filled`` (from its row 0); what a row has none of stays.

    ``tables`` are tiers, edges, budgets, prices and first rules of the alternatives.
    """
    tiers, edges, budgets = tables[0], tables[1], tables[2]
    for row in range(first, last):
        index = chosen[row]
        for tier in range(tiers[index] - 1 if index >= 0 else 0):
            parts = (
                edges[index, tier, FIXED],
                edges[index, tier, PER_PERSON],
                edges[index, tier, PER_DAY],
                edges[index, tier, PER_KW],
                edges[index, tier, PER_KW_DAY],
            )
            at = edge_of(parts, widening[row], days[row] if prorated else 1, days[row], year[row], peak[row])
            if budgets[index, STEP] > 0:
                budget = (
                    budgets[index, STEP],
                    budgets[index, ROUNDING],
                    budgets[index, PERSON],
                    budgets[index, PERSON_DAY],
                )
                shares = (edges[index, tier, PERSONS_SHARE], edges[index, tier, ALLOWANCE_SHARE])
                at += budget_of(budget, shares, days[row], household[row], allowance[row])
            filled[row - first, tier] = at


@njit(cache=True, nogil=True)
def price_tiers(
    first: int,
    last: int,
    chosen: Bytes,
    use_period: Shorts,
    before: Ints,
    usage: Ints,
    edges: Ints,
    tables: Tables,
    shares: tuple[Ints, Ints, Ints],
    divisor: int,
    rounding: int,
    amounts: Ints,
    rule: Codes,
) -> None:
    """Value the usage of rows ``first`` to ``last`` at the tiers of their alternatives.

    ``edges`` (rows, K − 1) begin at row ``first``. ``shares``: of bills whose rows share each tier in proportion the
    usage before the bill, up to and with the row, and of the bill; without rows the tiers fill from ``before`` on.
    Usage counts at the price of the last tier, and what lies below an edge at the difference to the next tier. Fills
    ``amounts`` (rows, components), exact or with a ``divisor`` the difference of rounded running totals, and
    ``rule`` where it is 0: the tier in which the cumulated usage ends.
    """
    tiers, prices, first_rule = tables[0], tables[3], tables[4]
    for row in range(first, last):
        index = chosen[row]
        if index < 0:
            continue
        at, low, high = row - first, before[row], before[row] + usage[row]
        period, top, reached = max(use_period[row], 0), tiers[index] - 1, 0
        for component in range(prices.shape[3]):
            if divisor:
                after = high * prices[index, top, period, component]
                start = low * prices[index, top, period, component]
                for tier in range(top):
                    dearer = prices[index, tier, period, component] - prices[index, tier + 1, period, component]
                    after += min(high, edges[at, tier]) * dearer
                    start += min(low, edges[at, tier]) * dearer
                value = fen_of(after, divisor, rounding) - fen_of(start, divisor, rounding)
            else:
                value = usage[row] * prices[index, top, period, component]
                for tier in range(top):
                    part = min(high, edges[at, tier]) - min(low, edges[at, tier])
                    if len(shares[0]):
                        part = shared_part(
                            edges[at, tier], shares[0][row], usage[row], shares[1][row], shares[2][row]
                        )
                    value += part * (
                        prices[index, tier, period, component] - prices[index, tier + 1, period, component]
                    )
            amounts[row, component] = value
        for tier in range(top):
            reached += edges[at, tier] < high
        if rule[row] == 0:
            rule[row] = first_rule[index] + reached


@njit(cache=True, nogil=True)
def shared_part(edge: int, bill_before: int, usage: int, until: int, total: int) -> int:
    """Part of a row's usage below an edge when the rows of its bill share each tier in proportion to their usage.

    The row gets what it adds to the share of the rows up to it, rounded down, so that the shares of a bill add up.
    """
    filled = min(max(edge - bill_before, 0), total)
    if filled == total:
        return usage
    return filled * until // total - filled * (until - usage) // total


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
                fen = fen_of(at, divisor, roundings[component])
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
