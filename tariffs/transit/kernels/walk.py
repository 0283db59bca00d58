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

TRANSFER, CAP, CUMULATIVE, PASS = 1, 2, 3, 4
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
WINDOW, INCLUSIVE, FROM_LAST, SINCE_EXIT, UNTIL_EXIT = 6, 7, 8, 9, 10
PAY, TAKEN_OFF, FLOOR, LIMIT, BETWEEN, EXTEND = 11, 12, 13, 14, 15, 16

FACTS = np.dtype(
    [
        ("time", np.int64),
        ("entry", np.int64),
        ("exit", np.int64),
        ("line", np.int64),
        ("marks", np.int64),
        ("gross", np.int32),
        ("fare", np.int32),
        ("program", np.uint16),
        ("rule", np.uint16),
        ("who", np.uint8),
        ("mode", np.uint8),
        ("low", np.int8),
        ("high", np.int8),
        ("held_low", np.int8),
        ("held_high", np.int8),
    ],
    align=True,
)
"""What the walk reads of a row, one cache line: when it counts, its ends (s), line, marks as in ``Chunk.marks``,
full fare and fare so far (fen), number of its program, rule, class, mode, lowest and highest zone, and the zones a
travelcard covers (−1 = none)."""

# What is remembered per card and accumulator. SINCE is NULL until something is.
# Transfer: SINCE = the tap the window is measured from, VALUE = highest fare in it, COUNT = transfers used,
# marks = class, line and mode of the last origin.
# Periods: SINCE = start of the period (s), MARK_3 = its kind, so that another definition of it starts afresh.
# Cap: VALUE = fen paid, MARK_1 and MARK_2 = lowest and highest zone (−1 = none yet).
# Cumulative: VALUE = fen or journeys counted, MARK_1 = journeys counted before the one now going on.
# Pass: COUNT = rides or days used, MARK_1 = the last day.
MEMORY = 6
SINCE, VALUE, COUNT, MARK_1, MARK_2, MARK_3 = 0, 1, 2, 3, 4, 5


@njit(cache=True, nogil=True)
def rounded(numerator: int, denominator: int, mode: int) -> int:
    """``numerator / denominator`` (≥ 0, > 0) by the numbered rounding."""
    quotient = numerator // denominator
    rest = numerator - quotient * denominator
    if mode == HALF_UP:
        quotient += 2 * rest >= denominator
    elif mode == HALF_EVEN:
        quotient += 2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1)
    elif mode == UP:
        quotient += rest > 0
    return quotient


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def transfer_fare(
    memory: Ints, c: int, s: int, p: Ints, g: int, i: int, fact: Any, mark: int, fare: int
) -> tuple[int, bool]:
    """Fare of a leg after the transfer rule, and whether it continued a window; moves slot (c, s) of ``memory``."""
    objects, origins = mark & 1 == 1, mark & 2 == 2
    start, end, who, line, mode = fact.entry, fact.exit, fact.who, fact.line, fact.mode
    if fare == 0:
        return fare, False
    until = end if p[g, i, UNTIL_EXIT] else start
    since = end if p[g, i, SINCE_EXIT] else start
    transfers = (
        objects and memory[c, s, SINCE] != NULL and memory[c, s, MARK_1] == who and since != NULL and until != NULL
    )
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
        if origins and since != NULL:
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


@njit(cache=True, nogil=True)
def capped_fare(memory: Ints, c: int, s: int, p: Ints, g: int, i: int, table: Ints, fact: Any, fare: int) -> int:
    """Fare under a cap; widens the zone range that slot (c, s) of ``memory`` holds."""
    low, high = fact.low, fact.high
    at = p[g, i, TABLE]
    layer = table[at + fact.who]
    span = p[g, i, CAP_SPAN]
    if layer < 0:
        return fare
    cell = 0
    if span:
        if low >= 0:
            memory[c, s, MARK_1] = low if memory[c, s, MARK_1] < 0 else min(memory[c, s, MARK_1], low)
            memory[c, s, MARK_2] = max(memory[c, s, MARK_2], high)
        if memory[c, s, MARK_1] < 0 or memory[c, s, MARK_2] >= span:
            return fare
        cell = memory[c, s, MARK_1] * span + memory[c, s, MARK_2]
    limit = table[at + 256 + layer * max(span * span, 1) + cell]
    if limit < 0:
        return fare
    room = max(limit - memory[c, s, VALUE], 0)
    if p[g, i, CAP_FULL]:
        return fare if room > 0 else 0
    return int(min(fare, room))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def pass_fare(memory: Ints, c: int, s: int, p: Ints, g: int, i: int, fare: int, day: int) -> tuple[int, bool]:
    """Fare with a pass, and whether the pass was used; moves slot (c, s) of ``memory``."""
    new_day = p[g, i, QUOTA_OF] == DAYS and (memory[c, s, COUNT] == 0 or memory[c, s, MARK_1] != day)
    uses = 1 if p[g, i, QUOTA_OF] == RIDES or new_day else 0
    if p[g, i, QUOTA] >= 0 and memory[c, s, COUNT] + uses > p[g, i, QUOTA]:
        return fare, False
    memory[c, s, COUNT] += uses
    memory[c, s, MARK_1] = day
    return rounded(fare * p[g, i, PER], RATIO_ONE, p[g, i, ROUNDING]), True


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def walk_cards(
    begins: Ints,
    rows: Shorts,
    parameters: Ints,
    table: Ints,
    clock: Ints,
    firsts: Ints,
    facts: Any,
    memory: Ints,
    card_pays: Ints,
    rule: Codes,
) -> None:
    """Price the journeys of cards in their order.

    ``facts`` (records of FACTS) stand by card, time and sequence; card c has those from ``begins[c]`` to
    ``begins[c + 1]``, and they are the answers' ``rows``. ``parameters`` (programs, steps, PARAMETERS), ``table``
    flat. ``clock`` = [seconds after midnight at which a day starts, first weekday, first day of ``firsts``];
    ``firsts`` (days, 2) = first day of each day's month and of its year, days since 1970. Writes ``card_pays`` and
    ``rule``; changes ``memory`` (cards, slots, MEMORY) in place.
    """
    for card in range(len(begins) - 1):
        for at in range(begins[card], begins[card + 1]):
            fact = facts[at]
            g, marks = np.int64(fact.program), fact.marks
            gross, fare = np.int64(fact.gross), np.int64(fact.fare)
            day = (fact.time - clock[0]) // DAY_S
            paid, decided_by = fare, fact.rule
            continues = False
            for i in range(parameters.shape[1]):
                kind = parameters[g, i, KIND]
                mark = (marks >> (2 * i)) & 3
                if kind == 0 or mark == 0:
                    continue
                s = parameters[g, i, SLOT]
                before = paid
                decides = False
                if kind == TRANSFER:
                    paid, decides = transfer_fare(memory, card, s, parameters, g, i, fact, mark, paid)
                    continues = continues or decides
                else:
                    enter_period(memory, card, s, parameters, g, i, fact.time, day, firsts, clock)
                    if kind == CAP:
                        paid = capped_fare(memory, card, s, parameters, g, i, table, fact, paid)
                    elif kind == CUMULATIVE:
                        paid = cumulative_fare(memory, card, s, parameters, g, i, table, gross, paid, continues)
                    else:
                        paid, decides = pass_fare(memory, card, s, parameters, g, i, paid, day)
                if decides or paid != before:
                    decided_by = np.uint16(parameters[g, i, RULE])
            for i in range(parameters.shape[1]):
                if (marks >> (2 * i)) & 1 == 1:
                    count(memory, card, parameters[g, i, SLOT], parameters, g, i, gross, fare, paid, continues)
            card_pays[rows[at]] = paid
            rule[rows[at]] = decided_by
