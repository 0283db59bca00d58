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
CALENDAR = 3
"""Bits of a unit that say from which column of ``starts`` its period begins: days of a rolling one, too."""
FREE, DIFFERENCE, MINUS, RATIO = 0, 1, 2, 3
ANY, OTHER_LINE, OTHER_MODE = 0, 1, 2
GROSS, PAID, JOURNEYS = 0, 1, 2
RIDES, DAYS = 0, 1

TERM = np.dtype(
    [
        (name, np.int64)
        for name in (
            # of every step: 0 = none, first slot, rule, where its part of the table begins
            *("kind", "slot", "rule", "table", "rounding", "per"),
            # of every step with a period
            *("unit", "length"),
            *("cap_span", "cap_full"),
            *("basis", "excess", "bands", "to"),
            *("quota", "quota_of"),
            *("zones", "options"),
            *("of_step", "times", "amount", "amount_span"),
            *("window", "inclusive", "from_last", "since_exit", "until_exit"),
            *("pay", "taken_off", "floor", "limit", "between", "extend"),
        )
    ]
)
"""The terms of one accumulating step: those of every kind, then of transfer windows, caps and so on alone.

Terms, facts and memories are records and not columns of arrays, because a kernel that hands an array on counts its
references, once per row and step, in a place that all threads share.
"""

FACTS = np.dtype(
    [
        ("owner", np.int64),
        ("key", np.int64),
        ("gross", np.int32),
        ("fare", np.int32),
        ("marks", np.uint32),
        ("program", np.uint16),
        ("who", np.uint8),
        ("mode", np.uint8),
    ],
    align=True,
)
"""What is known of a row before the walk, half a cache line: its card and key, by which it is sorted, full fare and
fare so far (fen), marks as in ``Chunk.marks``, number of its program, class and mode. :func:`rows.note_facts` writes
them as four words, as machines store them that put the low byte first (x86-64, ARM)."""

ENDS = np.dtype(
    [
        ("line", np.int64),
        ("lasts", np.int32),
        ("low", np.int8),
        ("high", np.int8),
        ("held_low", np.int8),
        ("held_high", np.int8),
    ],
    align=True,
)
"""What only transfer windows and zones read besides: the line, how many seconds after its time the row ends (beyond
68 years: 68 years), lowest and highest zone, and the zones a travelcard covers (−1 = none)."""

MEMORY = np.dtype([(name, np.int64) for name in ("since", "value", "count", "mark_1", "mark_2", "mark_3")])
"""What is remembered per card and accumulator; ``since`` is NULL until something is.

Transfer: since = the tap the window is measured from, value = highest fare in it, count = transfers used, marks =
class, line and mode of the last origin. Periods: since = start of the period (s), mark_3 = its kind, so that another
definition of it starts afresh. Cap: value = fen paid, mark_1 and mark_2 = lowest and highest zone (−1 = none yet).
Cumulative: value = fen or journeys counted, mark_1 = journeys counted before the one now going on. Pass: count =
rides or days used, mark_1 = the last day. Cheapest: one slot per option; value = fen beside the option's price, count
(of the first) = fen charged so far. Rebate: count = times met, value = fen for them, mark_1 = fen credited of it;
second slot: value = fen credited and not yet taken off, count = fen for the day going on, mark_1 = that day.
"""


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
def enter_period(slot: Any, term: Any, time: int, begin: int) -> None:
    """Forget what a slot holds unless it was counted for the period of the journey, which begins at ``begin``."""
    unit = term.unit
    kind = unit * 100_000 + term.length
    same = slot.since != NULL and slot.mark_3 == kind
    if same and unit >= ROLLING_DAYS:
        same = time < slot.since + term.length * DAY_S
    elif same:
        same = slot.since == begin
    if not same:
        slot.since = begin
        slot.value = 0
        slot.count = 0
        slot.mark_1 = -1
        slot.mark_2 = -1
        slot.mark_3 = kind


@njit(cache=True, nogil=True, error_model="numpy")
def transfer_fare(slot: Any, term: Any, fact: Any, ends: Any, time: int, mark: int, fare: int) -> tuple[int, bool]:
    """Fare of a leg after the transfer rule, and whether it continued a window; moves the slot."""
    objects, origins = mark & 1 == 1, mark & 2 == 2
    who, line, mode = fact.who, ends.line, fact.mode
    start, end = time, time + ends.lasts
    if fare == 0:
        return fare, False
    until = end if term.until_exit else start
    since = end if term.since_exit else start
    transfers = objects and slot.since != NULL and slot.mark_1 == who
    if transfers:
        passed = until - slot.since
        transfers = passed <= term.window if term.inclusive else passed < term.window
        transfers = transfers and passed >= 0
    if transfers and term.limit >= 0:
        transfers = slot.count < term.limit
    if transfers and term.between == OTHER_LINE:
        transfers = slot.mark_2 != line or slot.mark_3 != mode
    elif transfers and term.between == OTHER_MODE:
        transfers = slot.mark_3 != mode
    if not transfers:
        if origins:
            slot.since = since
            slot.value = fare
            slot.count = 0
            slot.mark_1 = who
            slot.mark_2 = line
            slot.mark_3 = mode
        return fare, False
    paid = fare
    if term.pay == FREE:
        paid = 0
    elif term.pay == DIFFERENCE:
        paid = max(fare - slot.value, 0)
    elif term.pay == MINUS:
        paid = max(fare - term.taken_off, min(fare, term.floor))
    else:
        paid = rounded(fare * term.per, RATIO_ONE, term.rounding)
    slot.count += 1
    steps_up = fare > slot.value
    slot.value = max(slot.value, fare)
    if origins:
        slot.mark_2 = line
        slot.mark_3 = mode
        if term.from_last or (term.extend and steps_up):
            slot.since = since
    return paid, True


@njit(cache=True, nogil=True, error_model="numpy")
def cap_limit(slot: Any, term: Any, table: Ints, fact: Any) -> int:
    """Fen a cap allows in the period, by class and by the zones used so far; −1 = no limit."""
    at, span = term.table, term.cap_span
    layer, cell = table[at + fact.who], 0
    if layer < 0:
        return -1
    if span:
        if slot.mark_1 < 0 or slot.mark_2 >= span:
            return -1
        cell = slot.mark_1 * span + slot.mark_2
    return table[at + 256 + layer * max(span * span, 1) + cell]


@njit(cache=True, nogil=True, error_model="numpy")
def capped_fare(slot: Any, term: Any, table: Ints, fact: Any, low: int, high: int, fare: int) -> int:
    """Fare under a cap; widens the zone range that slot (c, s) of ``memory`` holds."""
    if term.cap_span and low >= 0 and table[term.table + fact.who] >= 0:
        slot.mark_1 = low if slot.mark_1 < 0 else min(slot.mark_1, low)
        slot.mark_2 = max(slot.mark_2, high)
    limit = cap_limit(slot, term, table, fact)
    if limit < 0:
        return fare
    room = max(limit - slot.value, 0)
    if term.cap_full:
        return fare if room > 0 else 0
    return int(min(fare, room))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cumulative_fare(slot: Any, term: Any, table: Ints, gross: int, fare: int, continues: bool) -> int:
    """Fare under a discount that grows with what was counted before.

    Put into the walk, for which it is too long by itself: a call would write the eight words of the table to memory,
    row by row, and wait for them.
    """
    bands, edges = term.bands, term.table
    ratios = edges + bands
    counted = slot.mark_1 if continues and term.basis == JOURNEYS else slot.value
    counted = max(counted, 0)
    band = 0
    while band + 1 < bands and table[edges + band + 1] <= counted:
        band += 1
    to, mode = term.to, term.rounding
    if not term.excess:
        return int(min(fare, rounded(fare * table[ratios + band], RATIO_ONE * to, mode) * to))
    if term.basis == GROSS:
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


@njit(cache=True, nogil=True, error_model="numpy")
def pass_fare(slot: Any, term: Any, fare: int, day: int) -> tuple[int, bool]:
    """Fare with a pass, and whether the pass was used; moves the slot."""
    new_day = term.quota_of == DAYS and (slot.count == 0 or slot.mark_1 != day)
    uses = 1 if term.quota_of == RIDES or new_day else 0
    if term.quota >= 0 and slot.count + uses > term.quota:
        return fare, False
    slot.count += uses
    slot.mark_1 = day
    return rounded(fare * term.per, RATIO_ONE, term.rounding), True


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
    memory: Any, c: int, term: Any, table: Ints, ends: Any, reduced: bool, fare: int, time: int, begin: int
) -> int:
    """How much the cheapest option for all legs of the period rises by this leg; moves the slots of all options.

    ``table``: fares of zone ranges (full, then reduced), then four cells per cap: price, lowest and highest zone
    it covers, whether it covers reduced legs only. The first option is no cap.
    """
    span, options, at = term.zones, term.options, term.table
    low, high = np.int64(ends.low), np.int64(ends.high)
    held = 0
    if ends.held_low >= 0:
        held = ((2 << ends.held_high) - 1) & ~((1 << ends.held_low) - 1)
    known = low >= 0 and high < span
    fares = at + (span * span if reduced else 0)
    caps = at + 2 * span * span
    least = 0
    for k in range(options):
        slot = memory[c, term.slot + k]
        enter_period(slot, term, time, begin)
        beside, price = fare, 0
        if k > 0:
            cap = caps + 4 * (k - 1)
            price = table[cap]
            if known and (reduced or not table[cap + 3]):
                covered = ((2 << table[cap + 2]) - 1) & ~((1 << table[cap + 1]) - 1)
                beside = min(fare, fare_beside(table, fares, span, low, high, held | covered))
        slot.value += beside
        total = slot.value + price
        least = total if k == 0 else min(least, total)
    first = memory[c, term.slot]
    rise = least - first.count
    first.count = least
    return rise


@njit(cache=True, nogil=True, error_model="numpy")
def met_zones(memory: Any, c: int, term: Any, table: Ints, fact: Any, fare: int) -> tuple[bool, int, int]:
    """Whether the cap of a step, or in its cheapest combination, is met with this leg; the zones it covers."""
    slot = memory[c, term.slot]
    if term.kind == CAP:
        limit = cap_limit(slot, term, table, fact)
        return limit >= 0 and slot.value + fare >= limit, slot.mark_1, slot.mark_2
    caps = term.table + 2 * term.zones * term.zones
    best, least = 0, slot.value
    for k in range(1, term.options):
        total = memory[c, term.slot + k].value + table[caps + 4 * (k - 1)]
        if total < least:
            best, least = k, total
    if best == 0 or memory[c, term.slot + best].value > 0:
        return False, -1, -1
    return True, table[caps + 4 * (best - 1) + 1], table[caps + 4 * (best - 1) + 2]


@njit(cache=True, nogil=True, error_model="numpy")
def rebate_of(
    slot: Any, credit: Any, term: Any, table: Ints, time: int, day: int, payable: int, met: tuple[bool, int, int]
) -> int:
    """What comes off the ``payable``: credited and not yet taken off; moves both slots of the step.

    ``met``: whether the cap it is for is met with this leg, and the zones that covers.
    """
    if credit.since == NULL:
        credit.since = time
        credit.mark_1 = day - 1
    if credit.mark_1 != day:
        credit.mark_1 = day
        credit.count = 0
    reached, low, high = met
    amount, span = term.amount, term.amount_span
    if reached and span:
        amount = table[term.table + low * span + high] if low >= 0 and high < span else 0
    if reached and amount > credit.count:
        slot.count += credit.count == 0
        slot.value += amount - credit.count
        credit.count = amount
    if slot.count >= term.times:
        credit.value += slot.value - max(slot.mark_1, 0)
        slot.mark_1 = slot.value
    off = min(payable, credit.value)
    credit.value -= off
    return off


@njit(cache=True, nogil=True, error_model="numpy")
def count(slot: Any, term: Any, gross: int, fare: int, paid: int, continues: bool) -> None:
    """Add a journey to a slot once it is known what the card pays for it in the end."""
    if term.kind == CAP:
        slot.value += paid
    elif term.kind == CUMULATIVE:
        if term.basis == GROSS:
            slot.value += gross
        elif term.basis == PAID:
            slot.value += paid
        elif fare > 0 and not continues:
            slot.mark_1 = slot.value
            slot.value += 1


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def time_of(key: int, clock: tuple[int, int, int], times: Ints) -> int:
    """The time (s) in a key of (time, sequence).

    ``clock``: the lowest time, the lowest sequence, and the bits of the latter; above them a key counts seconds from
    the lowest or, where there are any, ``times``.
    """
    earliest, _, bits = clock
    return times[key >> bits] if len(times) else earliest + (key >> bits)


@njit(cache=True, nogil=True, error_model="numpy")
def in_use(memory: Any) -> int:
    """How many memories hold something."""
    used = 0
    for card in range(memory.shape[0]):
        for slot in range(memory.shape[1]):
            used += memory[card, slot].since != NULL
    return used


@njit(cache=True, nogil=True, error_model="numpy")
def walk_cards(
    begins: Ints,
    order: Shorts,
    facts: Any,
    clock: tuple[int, int, int],
    times: Ints,
    terms: Any,
    table: Ints,
    day_starts: int,
    first_day: int,
    starts: Ints,
    ends: Any,
    memory: Any,
    outcome: Ints,
) -> int:
    """Price the journeys of cards in their order; returns how many memories hold something afterwards.

    Card c has the rows ``order[begins[c]:begins[c + 1]]``, by time and sequence; ``facts`` (records of FACTS) stand
    in this order, ``ends`` (of ENDS; without rows where no step reads them) and ``outcome`` by row. ``terms``
    (programs, steps) of TERM, ``table`` flat. A day starts ``day_starts`` seconds after midnight; ``starts`` (days
    from ``first_day`` on, 4) = seconds at which each day, its week, month and year start. Writes ``outcome`` (fen
    << 16 | rule, ~fen where no step decides); changes ``memory`` (cards, slots) of MEMORY.
    """
    steps = terms.shape[1]
    for card in range(len(begins) - 1):
        for at in range(begins[card], begins[card + 1]):
            row, fact = order[at], facts[at]
            time = time_of(fact.key, clock, times)
            program, marks = np.int64(fact.program), np.int64(fact.marks)
            gross, fare = np.int64(fact.gross), np.int64(fact.fare)
            day = (time - day_starts) // DAY_S
            paid, rebate, rule, continues = fare, 0, -1, False
            for i in range(steps):
                term = terms[program, i]
                kind = term.kind
                mark = (marks >> (2 * i)) & 3
                if kind == 0 or mark == 0:
                    continue
                slot = memory[card, term.slot]
                begin = time if term.unit == ROLLING_TAP else starts[day - first_day, term.unit & CALENDAR]
                before, decides = paid - rebate, False
                if kind == TRANSFER:
                    paid, decides = transfer_fare(slot, term, fact, ends[row], time, mark, paid)
                    continues = continues or decides
                elif kind == CHEAPEST:
                    paid = cheapest_fare(memory, card, term, table, ends[row], mark & 2 == 2, paid, time, begin)
                else:
                    enter_period(slot, term, time, begin)
                    if kind == CAP:
                        low, high = (ends[row].low, ends[row].high) if term.cap_span else (-1, -1)
                        paid = capped_fare(slot, term, table, fact, low, high, paid)
                    elif kind == CUMULATIVE:
                        paid = cumulative_fare(slot, term, table, gross, paid, continues)
                    elif kind == PASS:
                        paid, decides = pass_fare(slot, term, paid, day)
                    else:
                        met = (False, -1, -1)
                        if (marks >> (2 * term.of_step)) & 1 == 1:
                            met = met_zones(memory, card, terms[program, term.of_step], table, fact, paid)
                        # What is paid back is no part of what caps and discounts count.
                        credit = memory[card, term.slot + 1]
                        rebate += rebate_of(slot, credit, term, table, time, day, paid - rebate, met)
                if decides or paid - rebate != before:
                    rule = term.rule
            for i in range(steps):
                if (marks >> (2 * i)) & 1 == 1:
                    term = terms[program, i]
                    count(memory[card, term.slot], term, gross, fare, paid, continues)
            outcome[row] = ((paid - rebate) << 16) | rule if rule >= 0 else ~fare
    return in_use(memory)


@njit(cache=True, nogil=True)
def marked(facts: Any, rows: Shorts, outcome: Ints) -> int:
    """List the rows that have marks; returns how many there are. The ``outcome`` of all is their fare so far."""
    found = 0
    for row in range(len(facts)):
        # Of those with marks too: the walk writes here and there, and would wait for each line not in the cache yet.
        outcome[row] = ~np.int64(facts[row].fare)
        rows[found] = row
        found += facts[row].marks != 0
    return found


@njit(cache=True, nogil=True)
def list_memory(
    cards: Ints,
    last: Ints,
    clock: tuple[int, int, int],
    times: Ints,
    sequences: Ints,
    memory: Any,
    ids: Ints,
    found: int,
    card: Ints,
    accumulator: Ints,
    since: Ints,
    value: Ints,
    number: Ints,
    marks: tuple[Ints, Ints, Ints],
) -> None:
    """Write what cards remember as rows from ``found`` on: of each its clock, then its slots in use.

    ``last`` is the key of each card's last journey, read as :func:`time_of` does; what it counts above the lowest
    sequence is, where there are any, a place in ``sequences``. ``ids`` (rising) number the slots.
    """
    _, lowest, bits = clock
    for c in range(len(cards)):
        sequence = last[c] & ((1 << bits) - 1)
        card[found], accumulator[found] = cards[c], 0
        since[found] = time_of(last[c], clock, times)
        value[found], number[found] = sequences[sequence] if len(sequences) else lowest + sequence, 0
        marks[0][found] = marks[1][found] = marks[2][found] = 0
        found += 1
        for s in range(len(ids)):
            slot = memory[c, s]
            if slot.since == NULL:
                continue
            card[found], accumulator[found] = cards[c], ids[s]
            since[found], value[found], number[found] = slot.since, slot.value, slot.count
            marks[0][found], marks[1][found], marks[2][found] = slot.mark_1, slot.mark_2, slot.mark_3
            found += 1
