"""The walk along each card's journeys: what it pays after what it did before."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]

NULL = -(2**63)
RATIO_ONE = 10_000
DAY_S = 86_400
HALF_UP, HALF_EVEN, DOWN, UP = 0, 1, 2, 3

TRANSFER, CAP, CUMULATIVE, PASS, CHEAPEST, REBATE = 1, 2, 3, 4, 5, 6
DAY, WEEK, MONTH, YEAR, ROLLING_DAYS, ROLLING_TAP = 0, 1, 2, 3, 4, 5
FREE, DIFFERENCE, MINUS, RATIO = 0, 1, 2, 3
ANY, OTHER_LINE, OTHER_MODE = 0, 1, 2
GROSS, PAID, JOURNEYS = 0, 1, 2
RIDES, DAYS = 0, 1

# Columns of the parameter row of one accumulator; from the seventh on they depend on its kind.
PARAMETERS = 17
KIND, SLOT, RULE, TABLE, ROUNDING, PER = 0, 1, 2, 3, 4, 5
UNIT, LENGTH = 6, 7
CAP_SPAN, CAP_FULL = 8, 9
BASIS, EXCESS, BANDS, TO = 8, 9, 10, 11
QUOTA, QUOTA_OF = 8, 9
ZONES, OPTIONS = 8, 9
OF_STEP, TIMES, AMOUNT, AMOUNT_SPAN = 8, 9, 10, 11
WINDOW, INCLUSIVE, FROM_LAST, SINCE_EXIT, UNTIL_EXIT = 6, 7, 8, 9, 10
PAY, TAKEN_OFF, FLOOR, LIMIT, BETWEEN, EXTEND = 11, 12, 13, 14, 15, 16

FACTS = np.dtype(
    [
        ("time", np.int64),
        ("line", np.int64),
        ("marks", np.int64),
        ("gross", np.int32),
        ("fare", np.int32),
        ("entry", np.int32),
        ("exit", np.int32),
        ("program", np.uint16),
        ("who", np.uint8),
        ("mode", np.uint8),
        ("low", np.int8),
        ("high", np.int8),
        ("held_low", np.int8),
        ("held_high", np.int8),
    ],
    align=True,
)
"""What the walk reads of a row, 48 bytes: when it counts (s), line, marks as in ``Chunk.marks``, full fare and fare
so far (fen), its ends as seconds after ``time`` (farther than 68 years away: 68 years), number of its program, class,
mode, lowest and highest zone, and the zones a travelcard covers (−1 = none)."""

# What is remembered per card and accumulator. SINCE is NULL until something is.
# Transfer: SINCE = the tap the window is measured from, VALUE = highest fare in it, COUNT = transfers used,
# marks = class, line and mode of the last origin.
# Periods: SINCE = start of the period (s), MARK_3 = its kind, so that another definition of it starts afresh.
# Cap: VALUE = fen paid, MARK_1 and MARK_2 = lowest and highest zone (−1 = none yet).
# Cumulative: VALUE = fen or journeys counted, MARK_1 = journeys counted before the one now going on.
# Pass: COUNT = rides or days used, MARK_1 = the last day.
# Cheapest: one slot per option; VALUE = fen beside the option's price, COUNT (of the first) = fen charged so far.
# Rebate: COUNT = times met, VALUE = fen for them, MARK_1 = fen credited of it; second slot: VALUE = fen credited and
# not yet taken off, COUNT = fen for the day going on, MARK_1 = that day.
MEMORY = 6
SINCE, VALUE, COUNT, MARK_1, MARK_2, MARK_3 = 0, 1, 2, 3, 4, 5


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def rounded(numerator: int, denominator: int, mode: int) -> int:
    """``numerator / denominator`` (≥ 0, > 0) by the numbered rounding."""
    # A constant divisor becomes a multiplication.
    quotient = numerator // RATIO_ONE if denominator == RATIO_ONE else numerator // denominator
    rest = numerator - quotient * denominator
    if mode == HALF_UP:
        quotient += 2 * rest >= denominator
    elif mode == HALF_EVEN:
        quotient += 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    elif mode == UP:
        quotient += rest > 0
    return quotient


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def enter_period(
    memory: Ints, c: int, s: int, p: Ints, g: int, i: int, time: int, day: int, firsts: Ints, clock: Ints
) -> None:
    """Forget what slot (c, s) of ``memory`` holds unless the journey falls into the period it was counted for."""
    day_starts = clock[0]
    unit = p[g, i, UNIT]
    if unit == DAY:
        since = day * DAY_S + day_starts
    elif unit == WEEK:
        since = (day - (day + 3 - clock[1]) % 7) * DAY_S + day_starts
    elif unit == MONTH:
        since = firsts[day - clock[2], 0] * DAY_S + day_starts
    elif unit == YEAR:
        since = firsts[day - clock[2], 1] * DAY_S + day_starts
    elif unit == ROLLING_DAYS:
        since = day * DAY_S + day_starts
    else:
        since = time
    kind = unit * 100_000 + p[g, i, LENGTH]
    same = memory[c, s, SINCE] != NULL and memory[c, s, MARK_3] == kind
    if same and unit >= ROLLING_DAYS:
        same = time < memory[c, s, SINCE] + p[g, i, LENGTH] * DAY_S
    elif same:
        same = memory[c, s, SINCE] == since
    if not same:
        for column in range(MEMORY):
            memory[c, s, column] = 0
        memory[c, s, SINCE] = since
        memory[c, s, MARK_1] = -1
        memory[c, s, MARK_2] = -1
        memory[c, s, MARK_3] = kind


@njit(cache=True, nogil=True, error_model="numpy")
def transfer_fare(
    memory: Ints, c: int, s: int, p: Ints, g: int, i: int, fact: Any, mark: int, fare: int
) -> tuple[int, bool]:
    """Fare of a leg after the transfer rule, and whether it continued a window; moves slot (c, s) of ``memory``."""
    objects, origins = mark & 1 == 1, mark & 2 == 2
    who, line, mode = fact.who, fact.line, fact.mode
    start, end = fact.time + fact.entry, fact.time + fact.exit
    if fare == 0:
        return fare, False
    until = end if p[g, i, UNTIL_EXIT] else start
    since = end if p[g, i, SINCE_EXIT] else start
    transfers = objects and memory[c, s, SINCE] != NULL and memory[c, s, MARK_1] == who
    if transfers:
        passed = until - memory[c, s, SINCE]
        transfers = passed <= p[g, i, WINDOW] if p[g, i, INCLUSIVE] else passed < p[g, i, WINDOW]
        transfers = transfers and passed >= 0
    if transfers and p[g, i, LIMIT] >= 0:
        transfers = memory[c, s, COUNT] < p[g, i, LIMIT]
    if transfers and p[g, i, BETWEEN] == OTHER_LINE:
        transfers = memory[c, s, MARK_2] != line or memory[c, s, MARK_3] != mode
    elif transfers and p[g, i, BETWEEN] == OTHER_MODE:
        transfers = memory[c, s, MARK_3] != mode
    if not transfers:
        if origins:
            memory[c, s, SINCE] = since
            memory[c, s, VALUE] = fare
            memory[c, s, COUNT] = 0
            memory[c, s, MARK_1] = who
            memory[c, s, MARK_2] = line
            memory[c, s, MARK_3] = mode
        return fare, False
    paid = fare
    if p[g, i, PAY] == FREE:
        paid = 0
    elif p[g, i, PAY] == DIFFERENCE:
        paid = max(fare - memory[c, s, VALUE], 0)
    elif p[g, i, PAY] == MINUS:
        paid = max(fare - p[g, i, TAKEN_OFF], min(fare, p[g, i, FLOOR]))
    else:
        paid = rounded(fare * p[g, i, PER], RATIO_ONE, p[g, i, ROUNDING])
    memory[c, s, COUNT] += 1
    steps_up = fare > memory[c, s, VALUE]
    memory[c, s, VALUE] = max(memory[c, s, VALUE], fare)
    if origins:
        memory[c, s, MARK_2] = line
        memory[c, s, MARK_3] = mode
        if p[g, i, FROM_LAST] or (p[g, i, EXTEND] and steps_up):
            memory[c, s, SINCE] = since
    return paid, True


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cap_limit(memory: Ints, c: int, s: int, p: Ints, g: int, i: int, table: Ints, fact: Any) -> int:
    """Fen a cap allows in the period, by class and by the zones used so far; −1 = no limit."""
    at, span = p[g, i, TABLE], p[g, i, CAP_SPAN]
    layer, cell = table[at + fact.who], 0
    if layer < 0:
        return -1
    if span:
        if memory[c, s, MARK_1] < 0 or memory[c, s, MARK_2] >= span:
            return -1
        cell = memory[c, s, MARK_1] * span + memory[c, s, MARK_2]
    return table[at + 256 + layer * max(span * span, 1) + cell]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def capped_fare(memory: Ints, c: int, s: int, p: Ints, g: int, i: int, table: Ints, fact: Any, fare: int) -> int:
    """Fare under a cap; widens the zone range that slot (c, s) of ``memory`` holds."""
    if p[g, i, CAP_SPAN] and fact.low >= 0 and table[p[g, i, TABLE] + fact.who] >= 0:
        low, high = fact.low, fact.high
        memory[c, s, MARK_1] = low if memory[c, s, MARK_1] < 0 else min(memory[c, s, MARK_1], low)
        memory[c, s, MARK_2] = max(memory[c, s, MARK_2], high)
    limit = cap_limit(memory, c, s, p, g, i, table, fact)
    if limit < 0:
        return fare
    room = max(limit - memory[c, s, VALUE], 0)
    if p[g, i, CAP_FULL]:
        return fare if room > 0 else 0
    return int(min(fare, room))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cumulative_fare(
    memory: Ints, c: int, s: int, p: Ints, g: int, i: int, table: Ints, gross: int, fare: int, continues: bool
) -> int:
    """Fare under a discount that grows with what was counted before."""
    bands, edges = p[g, i, BANDS], p[g, i, TABLE]
    ratios = edges + bands
    counted = memory[c, s, MARK_1] if continues and p[g, i, BASIS] == JOURNEYS else memory[c, s, VALUE]
    counted = max(counted, 0)
    band = 0
    while band + 1 < bands and table[edges + band + 1] <= counted:
        band += 1
    to, mode = p[g, i, TO], p[g, i, ROUNDING]
    if not p[g, i, EXCESS]:
        return int(min(fare, rounded(fare * table[ratios + band], RATIO_ONE * to, mode) * to))
    if p[g, i, BASIS] == GROSS:
        weighted, reached = 0, counted
        while reached < counted + gross:
            end = counted + gross
            if band + 1 < bands:
                end = min(end, table[edges + band + 1])
            weighted += (end - reached) * table[ratios + band]
            reached = end
            band += 1
        if gross == 0:
            return fare
        return int(min(fare, rounded(fare * weighted, gross * RATIO_ONE * to, mode) * to))
    # On the amount paid: a band ends where the card has paid up to its edge.
    paid, rest = 0, fare
    while band + 1 < bands and table[ratios + band] > 0:
        room = table[edges + band + 1] - counted - paid
        worth = rounded(room * RATIO_ONE, table[ratios + band], mode)
        if worth > rest:
            break
        rest -= worth
        paid += room
        band += 1
    paid += rounded(rest * table[ratios + band], RATIO_ONE, mode)
    return int(min(fare, rounded(paid, to, mode) * to))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def pass_fare(memory: Ints, c: int, s: int, p: Ints, g: int, i: int, fare: int, day: int) -> tuple[int, bool]:
    """Fare with a pass, and whether the pass was used; moves slot (c, s) of ``memory``."""
    new_day = p[g, i, QUOTA_OF] == DAYS and (memory[c, s, COUNT] == 0 or memory[c, s, MARK_1] != day)
    uses = 1 if p[g, i, QUOTA_OF] == RIDES or new_day else 0
    if p[g, i, QUOTA] >= 0 and memory[c, s, COUNT] + uses > p[g, i, QUOTA]:
        return fare, False
    memory[c, s, COUNT] += uses
    memory[c, s, MARK_1] = day
    return rounded(fare * p[g, i, PER], RATIO_ONE, p[g, i, ROUNDING]), True


@njit(cache=True, nogil=True, error_model="numpy")
def fare_beside(table: Ints, at: int, span: int, low: int, high: int, covered: int) -> int:
    """Least of the fare from ``low`` to ``high`` and the fares of its runs of zones outside the bits ``covered``.

    Fares (span × span) lie from ``at``; a run without a fare leaves the whole leg.
    """
    whole = table[at + low * span + high]
    total, zone = 0, low
    while zone <= high:
        if (covered >> zone) & 1:
            zone += 1
            continue
        last = zone
        while last < high and not (covered >> (last + 1)) & 1:
            last += 1
        part = table[at + zone * span + last]
        if part < 0:
            return whole
        total += part
        zone = last + 1
    return total if whole < 0 else min(whole, total)


@njit(cache=True, nogil=True, error_model="numpy")
def cheapest_fare(
    memory: Ints,
    c: int,
    s: int,
    p: Ints,
    g: int,
    i: int,
    table: Ints,
    fact: Any,
    reduced: bool,
    fare: int,
    day: int,
    firsts: Ints,
    clock: Ints,
) -> int:
    """How much the cheapest option for all legs of the period rises by this leg; moves the slots of all options.

    ``table``: fares of zone ranges (full, then reduced), then four cells per cap: price, lowest and highest zone
    it covers, whether it covers reduced legs only. The first option is no cap.
    """
    span, options, at = p[g, i, ZONES], p[g, i, OPTIONS], p[g, i, TABLE]
    low, high = np.int64(fact.low), np.int64(fact.high)
    held = 0
    if fact.held_low >= 0:
        held = ((2 << fact.held_high) - 1) & ~((1 << fact.held_low) - 1)
    known = low >= 0 and high < span
    fares = at + (span * span if reduced else 0)
    caps = at + 2 * span * span
    least = 0
    for k in range(options):
        enter_period(memory, c, s + k, p, g, i, fact.time, day, firsts, clock)
        beside, price = fare, 0
        if k > 0:
            cap = caps + 4 * (k - 1)
            price = table[cap]
            if known and (reduced or not table[cap + 3]):
                covered = ((2 << table[cap + 2]) - 1) & ~((1 << table[cap + 1]) - 1)
                beside = min(fare, fare_beside(table, fares, span, low, high, held | covered))
        memory[c, s + k, VALUE] += beside
        total = memory[c, s + k, VALUE] + price
        least = total if k == 0 else min(least, total)
    rise = least - memory[c, s, COUNT]
    memory[c, s, COUNT] = least
    return rise


@njit(cache=True, nogil=True, error_model="numpy")
def met_zones(
    memory: Ints, c: int, p: Ints, g: int, j: int, table: Ints, fact: Any, fare: int
) -> tuple[bool, int, int]:
    """Whether the cap of step j, or in its cheapest combination, is met with this leg; the zones it covers."""
    s = p[g, j, SLOT]
    if p[g, j, KIND] == CAP:
        limit = cap_limit(memory, c, s, p, g, j, table, fact)
        return limit >= 0 and memory[c, s, VALUE] + fare >= limit, memory[c, s, MARK_1], memory[c, s, MARK_2]
    caps = p[g, j, TABLE] + 2 * p[g, j, ZONES] * p[g, j, ZONES]
    best, least = 0, memory[c, s, VALUE]
    for k in range(1, p[g, j, OPTIONS]):
        total = memory[c, s + k, VALUE] + table[caps + 4 * (k - 1)]
        if total < least:
            best, least = k, total
    if best == 0 or memory[c, s + best, VALUE] > 0:
        return False, -1, -1
    return True, table[caps + 4 * (best - 1) + 1], table[caps + 4 * (best - 1) + 2]


@njit(cache=True, nogil=True, error_model="numpy")
def rebate_of(
    memory: Ints,
    c: int,
    s: int,
    p: Ints,
    g: int,
    i: int,
    table: Ints,
    fact: Any,
    fare: int,
    payable: int,
    day: int,
    counts: bool,
) -> int:
    """What comes off the ``payable``: credited and not yet taken off; moves slots (c, s) and (c, s + 1).

    ``counts``: step OF_STEP is for this leg too, so that its cap may be met now, with the leg at ``fare``.
    """
    d = s + 1
    if memory[c, d, SINCE] == NULL:
        memory[c, d, SINCE] = fact.time
        memory[c, d, MARK_1] = day - 1
    if memory[c, d, MARK_1] != day:
        memory[c, d, MARK_1] = day
        memory[c, d, COUNT] = 0
    if counts:
        met, low, high = met_zones(memory, c, p, g, p[g, i, OF_STEP], table, fact, fare)
        amount, span = p[g, i, AMOUNT], p[g, i, AMOUNT_SPAN]
        if met and span:
            amount = table[p[g, i, TABLE] + low * span + high] if low >= 0 and high < span else 0
        if met and amount > memory[c, d, COUNT]:
            memory[c, s, COUNT] += memory[c, d, COUNT] == 0
            memory[c, s, VALUE] += amount - memory[c, d, COUNT]
            memory[c, d, COUNT] = amount
    if memory[c, s, COUNT] >= p[g, i, TIMES]:
        memory[c, d, VALUE] += memory[c, s, VALUE] - max(memory[c, s, MARK_1], 0)
        memory[c, s, MARK_1] = memory[c, s, VALUE]
    off = min(payable, memory[c, d, VALUE])
    memory[c, d, VALUE] -= off
    return off


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def count(
    memory: Ints, c: int, s: int, p: Ints, g: int, i: int, gross: int, fare: int, paid: int, continues: bool
) -> None:
    """Add a journey to slot (c, s) of ``memory`` once it is known what the card pays for it in the end."""
    if p[g, i, KIND] == CAP:
        memory[c, s, VALUE] += paid
    elif p[g, i, KIND] == CUMULATIVE:
        if p[g, i, BASIS] == GROSS:
            memory[c, s, VALUE] += gross
        elif p[g, i, BASIS] == PAID:
            memory[c, s, VALUE] += paid
        elif fare > 0 and not continues:
            memory[c, s, MARK_1] = memory[c, s, VALUE]
            memory[c, s, VALUE] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def walk_cards(
    begins: Ints,
    places: Shorts,
    rows: Shorts,
    parameters: Ints,
    table: Ints,
    clock: Ints,
    firsts: Ints,
    facts: Any,
    memory: Ints,
    outcome: Ints,
) -> None:
    """Price the journeys of cards in their order.

    Card c has the places from ``begins[c]`` to ``begins[c + 1]``; ``places`` are those in ``facts`` (records of
    FACTS) by card, time and sequence, ``rows`` the answer's row of each fact. ``parameters`` (programs, steps,
    PARAMETERS), ``table`` flat. ``clock`` = [seconds after midnight at which a day starts, first weekday, first day
    of ``firsts``]; ``firsts`` (days, 2) = first day of each day's month and of its year, days since 1970. Writes
    ``outcome`` (fen << 16 | rule) where a step decides; changes ``memory`` (cards, slots, MEMORY) in place.
    """
    for card in range(len(begins) - 1):
        for at in range(begins[card], begins[card + 1]):
            fact = facts[places[at]]
            g, marks = np.int64(fact.program), fact.marks
            gross, fare = np.int64(fact.gross), np.int64(fact.fare)
            day = (fact.time - clock[0]) // DAY_S
            paid, rebate, rule = fare, 0, -1
            continues = False
            for i in range(parameters.shape[1]):
                kind = parameters[g, i, KIND]
                mark = (marks >> (2 * i)) & 3
                if kind == 0 or mark == 0:
                    continue
                s = parameters[g, i, SLOT]
                before = paid - rebate
                decides = False
                if kind == TRANSFER:
                    paid, decides = transfer_fare(memory, card, s, parameters, g, i, fact, mark, paid)
                    continues = continues or decides
                else:
                    enter_period(memory, card, s, parameters, g, i, fact.time, day, firsts, clock)
                    if kind == CAP:
                        paid = capped_fare(memory, card, s, parameters, g, i, table, fact, paid)
                    elif kind == CHEAPEST:
                        reduced = mark & 2 == 2
                        paid = cheapest_fare(
                            memory, card, s, parameters, g, i, table, fact, reduced, paid, day, firsts, clock
                        )
                    elif kind == REBATE:
                        counts = (marks >> (2 * parameters[g, i, OF_STEP])) & 1 == 1
                        # What is paid back is no part of what caps and discounts count.
                        rebate += rebate_of(
                            memory, card, s, parameters, g, i, table, fact, paid, paid - rebate, day, counts
                        )
                    elif kind == CUMULATIVE:
                        paid = cumulative_fare(memory, card, s, parameters, g, i, table, gross, paid, continues)
                    else:
                        paid, decides = pass_fare(memory, card, s, parameters, g, i, paid, day)
                if decides or paid - rebate != before:
                    rule = parameters[g, i, RULE]
            for i in range(parameters.shape[1]):
                if (marks >> (2 * i)) & 1 == 1:
                    count(memory, card, parameters[g, i, SLOT], parameters, g, i, gross, fare, paid, continues)
            if rule >= 0:
                outcome[rows[places[at]]] = ((paid - rebate) << 16) | rule
