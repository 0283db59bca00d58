"""What each row alone decides, one fused loop per step: every column is read and written once.

Inputs are read-only views, so that each kernel is compiled for one set of types. ``card_class`` uint8 indexes
tables of 256 cells; a cell of −1 in a table of columns means that the step is not for the class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]
Zones = npt.NDArray[np.int8]

NULL = -(2**63)
QUANTITY_MAX = np.uint64(1_000_000_000)
RATIO_ONE = 10_000
DAY_S = 86_400
TIME_MAX = 2**37
OFFSET_MAX = 2**31 - 1
LOW_HALF = 2**32 - 1
COMPARED_MAX = 17
"""Bands up to which every edge is compared with every row."""


@njit(cache=True, nogil=True, error_model="numpy")
def clear_rows(
    gross: Ints,
    fare: Ints,
    rule: Codes,
    priced: Bools,
    conceded: Ints,
    open_: Bools,
    condition: Bools,
    refused: Bools,
    zones: tuple[Zones, Zones, Zones, Zones],
    marks: Ints,
) -> None:
    """A chunk before its first step: without a price, open to every step, its zones (−1) not known.

    One call: each waits for the interpreter's lock where threads work side by side.
    """
    gross[:], fare[:], rule[:], priced[:] = 0, 0, 0, False
    conceded[:], marks[:] = 0, 0
    open_[:], condition[:], refused[:] = True, True, False
    zones[0][:], zones[1][:], zones[2][:], zones[3][:] = -1, -1, -1, -1


@njit(cache=True, nogil=True, error_model="numpy")
def clear_bearers(fund_pays: Ints, fund: Codes, operator_bears: Ints, segment: Codes, number: int) -> None:
    """Nobody bears anything yet; the segment is ``number``."""
    fund_pays[:], fund[:], operator_bears[:], segment[:] = 0, 0, 0, number


@njit(cache=True, nogil=True, error_model="numpy")
def quotient(numerator: int, denominator: int, add: int, even: bool) -> int:
    """``numerator / denominator`` (≥ 0, > 0) rounded: down after adding ``add``, or half to even."""
    if even:
        whole = numerator // denominator
        twice = 2 * (numerator - whole * denominator)
        return whole + int(twice > denominator or (twice == denominator and whole % 2 == 1))
    return (numerator + add) // denominator


@njit(cache=True, nogil=True, error_model="numpy")
def place_of(number: int, first: int, dense: Shorts, sorted_numbers: Ints) -> int:
    """Place of a number among ``sorted_numbers``, −1 for a stranger; ``dense`` is empty where ids lie far apart."""
    if len(dense):
        offset = np.uint64(number - first)
        return dense[np.int64(min(offset, np.uint64(len(dense) - 1)))]
    low, high = 0, len(sorted_numbers)
    while low < high:
        middle = (low + high) >> 1
        if sorted_numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low if low < len(sorted_numbers) and sorted_numbers[low] == number else -1


@njit(cache=True, nogil=True, error_model="numpy")
def band_fares(
    quantity: Ints,
    condition: Bools,
    refused: Bools,
    card_class: Bytes,
    column: Shorts,
    edges: Ints,
    fares: Shorts,
    beyond: tuple[int, int, int, int, int],
    first_rule: int,
    gross: Ints,
    rule: Codes,
    priced: Bools,
) -> None:
    """Fare of the band of each unpriced row; ``fares`` is flat (columns, bands).

    ``beyond``: last edge, and for each started part beyond it: its length less one, multiplier and shift that divide
    by the length, fen; fen 0 = nothing beyond.
    """
    n = len(quantity)
    bands = len(edges) + 1
    band = np.zeros(n, np.int32)
    if bands <= COMPARED_MAX:
        # One edge at a time over all rows: compared in vectors, and nothing to guess for the processor.
        for edge in edges:
            for row in range(n):
                band[row] += quantity[row] > edge
    else:
        for row in range(n):
            low, high = 0, bands - 1
            while low < high:
                middle = (low + high) >> 1
                # Multiplied, not branched: the outcome is anybody's guess.
                above = int(quantity[row] > edges[middle])
                low += (middle + 1 - low) * above
                high -= (high - middle) * (1 - above)
            band[row] = low
    last, part, multiplier, shift, add = beyond
    for row in range(n):
        amount = quantity[row]
        of_class = column[card_class[row]]
        covered = (not priced[row]) & condition[row] & (not refused[row]) & (of_class >= 0)
        if not (covered & (np.uint64(amount) <= QUANTITY_MAX)):
            continue
        fare = np.int64(fares[of_class * bands + band[row]])
        if add:
            over = max(amount - last, 0)
            fare += ((over + part) * multiplier >> shift) * add
        gross[row] = fare
        rule[row] = first_rule + band[row]
        priced[row] = True


@njit(cache=True, nogil=True, error_model="numpy")
def pair_fares(
    entry: Ints,
    exit_: Ints,
    condition: Bools,
    refused: Bools,
    card_class: Bytes,
    column: Shorts,
    dense: Shorts,
    stations: Ints,
    fares: Shorts,
    number: int,
    gross: Ints,
    rule: Codes,
    priced: Bools,
) -> None:
    """Fare of the station pair of each unpriced row; ``fares`` is flat (columns, stations²), −1 = none published."""
    n, first = len(stations), stations[0]
    for row in range(len(entry)):
        of_class = column[card_class[row]]
        if priced[row] or not condition[row] or refused[row] or of_class < 0:
            continue
        start = place_of(entry[row], first, dense, stations)
        end = place_of(exit_[row], first, dense, stations)
        if start < 0 or end < 0:
            continue
        fare = fares[(of_class * n + start) * n + end]
        if fare < 0:
            continue
        gross[row] = fare
        rule[row] = number
        priced[row] = True


@njit(cache=True, nogil=True, error_model="numpy")
def concede(
    card_class: Bytes,
    condition: Bools,
    terms: Ints,
    rounding: tuple[int, int, int, bool],
    others_pay: bool,
    gross: Ints,
    fare: Ints,
    conceded: Ints,
    rule: Codes,
    priced: Bools,
    open_: Bools,
) -> None:
    """Reduced fares by class. ``terms`` (256, 5): rule (0 = none), ratio, fixed fare, least fare, final.

    ``rounding``: multiple the share is rounded to, divisor, what is added before dividing, half to even.
    """
    to, divisor, add, even = rounding
    share = np.empty(len(gross), np.int64)
    if divisor == RATIO_ONE and not even:
        for row in range(len(gross)):
            # Without a sign, a constant divisor becomes a multiplication.
            share[row] = (np.uint64(gross[row] * terms[card_class[row], 1]) + np.uint64(add)) // np.uint64(RATIO_ONE)
    else:
        for row in range(len(gross)):
            share[row] = quotient(gross[row] * terms[card_class[row], 1], divisor, add, even) * to
    for row in range(len(gross)):
        code = card_class[row]
        named = terms[code, 0] != 0
        full = gross[row]
        reduced = min(max(share[row] + terms[code, 2], terms[code, 3]), full)
        # Chosen, not branched: classes come in no order, and a wrong guess costs more than the arithmetic.
        takes = named & condition[row] & open_[row]
        fare[row] = reduced if takes else fare[row]
        conceded[row] = full - reduced if takes else conceded[row]
        rule[row] = np.uint16(terms[code, 0]) if takes else rule[row]
        open_[row] &= (not takes) | (terms[code, 4] == 0)
        priced[row] &= named | others_pay | (not condition[row])


@njit(cache=True, nogil=True, error_model="numpy")
def split_funds(
    card_class: Bytes,
    condition: Bools,
    terms: Ints,
    gross: Ints,
    fare: Ints,
    conceded: Ints,
    fund_pays: Ints,
    fund: Codes,
) -> None:
    """Each class's fund bears its share of the concession. ``terms`` (256, 2): fund (0 = none), share.

    With two parts, largest remainder with ties to the first is half-up of the first.
    """
    for row in range(len(gross)):
        code = card_class[row]
        # A later step may have raised the fare again; a fund bears only what the card does not pay.
        own = np.uint64(min(conceded[row], gross[row] - fare[row]) * terms[code, 1])
        # Without a sign, a constant divisor becomes a multiplication.
        part = np.int64((own + np.uint64(RATIO_ONE // 2)) // np.uint64(RATIO_ONE))
        takes = (terms[code, 0] != 0) & condition[row]
        fund_pays[row] = part if takes else fund_pays[row]
        payer = np.uint16(terms[code, 0]) if part > 0 else np.uint16(0)
        fund[row] = payer if takes else fund[row]


@njit(cache=True, nogil=True, error_model="numpy")
def close_rows(
    gross: Ints, fare: Ints, fund_pays: Ints, fund: Codes, operator_bears: Ints, rule: Codes, priced: Bools
) -> None:
    """The operator bears what neither card nor funds pay; rows without a price carry no amounts."""
    for row in range(len(gross)):
        if priced[row]:
            operator_bears[row] = gross[row] - fare[row] - fund_pays[row]
        else:
            gross[row] = fare[row] = fund_pays[row] = operator_bears[row] = 0
            fund[row] = rule[row] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def date_rows(
    entry: Ints,
    exit_: Ints,
    counted_at: Ints,
    of_row: Codes,
    programs: Ints,
    starts: Ints,
    ends: Ints,
    program: npt.NDArray[np.int16],
    time: Ints,
) -> tuple[int, int]:
    """The program that prices each row by its own time, −1 = none, and when the row counts (NULL = never).

    Tariff k has the programs from ``programs[k]`` to ``programs[k + 1]``, each from second ``starts[program]`` on,
    all up to ``ends[k]``; ``of_row`` without rows: all are of tariff 0. ``time`` without rows is not wanted.
    Returns the earliest and the latest time at which a row counts, (0, −1) when none does. A late row carried forward
    counts later, but its own time decides its price.
    """
    earliest, latest = TIME_MAX, -TIME_MAX
    for row in range(len(entry)):
        own = entry[row] if entry[row] != NULL else exit_[row]
        counts = counted_at[row] if counted_at[row] != NULL else own
        tariff = of_row[row] if len(of_row) else 0
        first = programs[tariff]
        found = first - 1
        for each in range(first, programs[tariff + 1]):
            found += own >= starts[each]
        sound = (own >= -TIME_MAX) & (own <= TIME_MAX) & (counts >= -TIME_MAX) & (counts <= TIME_MAX)
        priced = sound & (found >= first) & (own < ends[tariff])
        program[row] = found if priced else -1
        if len(time):
            time[row] = counts if priced else NULL
            earliest = min(earliest, counts) if priced else earliest
            latest = max(latest, counts) if priced else latest
    return (0, -1) if latest < earliest else (earliest, latest)


@njit(cache=True, nogil=True, error_model="numpy")
def mark_rows(objects: Bools, origins: Bools, position: int, marks: Ints) -> None:
    """Mark the rows that the accumulator at ``position`` is for."""
    for row in range(len(marks)):
        marks[row] |= (np.int64(objects[row]) | np.int64(origins[row]) << 1) << 2 * position


@njit(cache=True, nogil=True, error_model="numpy")
def mark_takers(open_: Bools, condition: Bools, priced: Bools, position: int, marks: Ints) -> None:
    """Mark the rows that an accumulator without legs is for: those with a price that still take discounts."""
    for row in range(len(marks)):
        marks[row] |= np.int64(3 * (open_[row] & condition[row] & priced[row])) << 2 * position


@njit(cache=True, nogil=True, error_model="numpy")
def countable(gross: Ints, most: int, priced: Bools) -> None:
    """Leave rows without a price whose full fare is more than accumulators count."""
    for row in range(len(gross)):
        priced[row] &= gross[row] <= most


@njit(cache=True, nogil=True, error_model="numpy")
def note_facts(
    place: Shorts,
    owner: Ints,
    period: Ints,
    sequence: Ints,
    packing: tuple[int, int, int],
    card_class: Bytes,
    mode: Bytes,
    program: int,
    marks: Ints,
    gross: Ints,
    fare: Ints,
    priced: Bools,
    facts: Words,
) -> None:
    """What the walk reads of each row, as records of ``walk.FACTS`` at its place; one without a price has no marks.

    ``packing``: lowest period and sequence, and the bits of the latter in a key; a lower period counts as the lowest.
    ``facts``: the four words of each record. Field by field, twice as many writes would wait for one line of memory.
    """
    low_period, low_sequence, bits = packing
    for row in range(len(place)):
        fact = facts[place[row]]
        key = ((max(period[row], low_period) - low_period) << bits) | (sequence[row] - low_sequence)
        mark = marks[row] if priced[row] else 0
        fact[0] = np.uint64(owner[row])
        fact[1] = np.uint64(key)
        fact[2] = np.uint64(gross[row] & LOW_HALF) | np.uint64(fare[row] & LOW_HALF) << np.uint64(32)
        traits = (
            np.uint64(program) | np.uint64(card_class[row]) << np.uint64(16) | np.uint64(mode[row]) << np.uint64(24)
        )
        fact[3] = np.uint64(mark & LOW_HALF) | traits << np.uint64(32)


@njit(cache=True, nogil=True, error_model="numpy")
def pass_over(place: Shorts, facts: Any) -> None:
    """Rows that the walk is not for, until they are noted."""
    for to in place:
        facts[to].marks = 0


@njit(cache=True, nogil=True, error_model="numpy")
def note_ends(
    place: Shorts,
    entry: Ints,
    exit_: Ints,
    counted_at: Ints,
    line: Ints,
    zones: tuple[Zones, Zones, Zones, Zones],
    ends: Any,
) -> None:
    """Line, end and zones of each row, as records of ``walk.ENDS`` at its place."""
    low, high, held_low, held_high = zones
    for row in range(len(place)):
        start = entry[row] if entry[row] != NULL else exit_[row]
        end = exit_[row] if exit_[row] != NULL else start
        # A bus leg has one tap, which is both its ends; a leg carried forward lies where it is counted.
        carried = counted_at[row] != NULL
        of_row = ends[place[row]]
        of_row.line = line[row]
        of_row.low, of_row.high = low[row], high[row]
        of_row.held_low, of_row.held_high = held_low[row], held_high[row]
        of_row.lasts = 0 if carried else min(max(end - start, -OFFSET_MAX), OFFSET_MAX)


@njit(cache=True, nogil=True, error_model="numpy")
def take_outcome(
    place: Shorts,
    outcome: Ints,
    number: int,
    gross: Ints,
    fare: Ints,
    fund_pays: Ints,
    fund: Codes,
    operator_bears: Ints,
    rule: Codes,
    segment: Codes,
    priced: Bools,
) -> None:
    """What the card pays after the walk, and the rule behind it; ``outcome`` is by place, as the walk leaves it.

    The operator bears the rest, as no fund pays yet; rows without a price carry no amounts. ``number``: the segment.
    """
    for row in range(len(place)):
        paid, sound = outcome[place[row]], priced[row]
        if not sound:
            gross[row] = 0
        charged = (paid >> 16 if paid >= 0 else ~paid) if sound else 0
        fare[row], operator_bears[row] = charged, gross[row] - charged
        decided = np.uint16(paid & 0xFFFF) if paid >= 0 else rule[row]
        rule[row] = decided if sound else np.uint16(0)
        fund_pays[row], fund[row] = 0, 0
        segment[row] = number
