"""Rows by card and time without sorting them all: parts of cards, then each part on its own, in cache.

Card numbers may be spread over all of int64 (they are keyed permutations), so no key packs card and time. Rows
are dealt into parts by the range their card lies in; inside a part a hash table numbers the cards, a counting
pass brings each card's rows together, and these, few and mostly in time already, are sorted by insertion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]

MIX = np.uint64(0x9E3779B97F4A7C15)
INSERTED_MAX = 16
"""Rows of one card, about, that one pass of insertion sorts."""


@njit(cache=True, nogil=True)
def in_order(card: Ints, time: Ints, sequence: Ints, marked: Bools) -> bool:
    """Whether every row is marked and all stand strictly by (card, time, sequence)."""
    for row in range(len(card)):
        if not marked[row]:
            return False
        if row == 0 or card[row] > card[row - 1]:
            continue
        if card[row] < card[row - 1] or time[row] < time[row - 1]:
            return False
        if time[row] == time[row - 1] and sequence[row] <= sequence[row - 1]:
            return False
    return True


@njit(cache=True, nogil=True)
def deal(
    card: Ints,
    marked: Bools,
    splitters: Ints,
    lowest: int,
    shift: int,
    cells: Shorts,
    first: int,
    last: int,
    part: Codes,
    counts: Ints,
) -> None:
    """Part of each marked row from ``first`` to ``last``, and how many each part gets; unmarked rows: the last code.

    A card's part is the number of rising ``splitters`` below it. ``cells[k]`` of them lie below the cell k, which
    holds the cards from ``lowest + (k << shift)`` on; few cells have any inside, so there is hardly ever a search.
    """
    for row in range(first, last):
        if not marked[row]:
            part[row] = 65_535
            continue
        number = card[row]
        cell = np.int64(np.uint64(number - lowest) >> np.uint64(shift))
        low, high = cells[cell], cells[cell + 1]
        while low < high:
            middle = (low + high) >> 1
            if number > splitters[middle]:
                low = middle + 1
            else:
                high = middle
        part[row] = low
        counts[low] += 1


@njit(cache=True, nogil=True)
def collect(part: Codes, card: Ints, first: int, last: int, at: Ints, rows: Shorts, cards: Ints) -> None:
    """Write row numbers and cards into their parts; ``at`` holds the next free place of each."""
    for row in range(first, last):
        of = part[row]
        if of != 65_535:
            rows[at[of]] = row
            cards[at[of]] = card[row]
            at[of] += 1


@njit(cache=True, nogil=True)
def starts_of_cards(card: Ints, first: int, last: int, begins: Ints) -> int:
    """Begins of the runs of equal cards from ``first`` to ``last``, relative to ``first``; returns their number."""
    found = 0
    for row in range(first, last):
        if row == first or card[row] != card[row - 1]:
            begins[found] = row - first
            found += 1
    begins[found] = last - first
    return found


@njit(cache=True, nogil=True)
def number_cards(rows: Shorts, card: Ints, facts: Any, block: Any, number_of: Shorts, cards: Ints) -> int:
    """Number the distinct cards of a part as they come; ``card`` is that of each of ``rows``. Returns their number.

    Fills ``block`` (the facts of ``rows``), ``number_of`` each row, and ``cards`` by number.
    """
    n = len(rows)
    bits = 1
    while (1 << bits) < 2 * n:
        bits += 1
    keys = np.empty(1 << bits, np.int64)
    numbers = np.full(1 << bits, -1, np.int32)
    shift = np.uint64(64 - bits)
    found = 0
    for i in range(n):
        # Once from far away; all that follows stays in cache.
        block[i] = facts[rows[i]]
        key = card[i]
        slot = np.int64((np.uint64(key) * MIX) >> shift)
        while numbers[slot] >= 0 and keys[slot] != key:
            slot = (slot + 1) & ((1 << bits) - 1)
        if numbers[slot] < 0:
            numbers[slot] = found
            keys[slot] = key
            cards[found] = key
            found += 1
        number_of[i] = numbers[slot]
    return found


@njit(cache=True, nogil=True)
def group_rows(
    rows: Shorts, number_of: Shorts, rank: Ints, block: Any, sequence: Ints, places: Shorts, begins: Ints, tied: Bools
) -> bool:
    """Rows of a part by card, time and sequence; returns whether some are equal in all three.

    ``rank`` is the place of each card number in rising order. Fills ``places`` (positions in ``rows`` in that
    order), ``begins`` (one more than cards, zeros at first) and ``tied`` (places of equal rows).
    """
    n, found = len(rows), len(rank)
    for i in range(n):
        begins[rank[number_of[i]] + 1] += 1
    for k in range(found):
        begins[k + 1] += begins[k]
    at = begins[:found].copy()
    times = np.empty(n, np.int64)
    for i in range(n):
        k = rank[number_of[i]]
        places[at[k]] = i
        times[at[k]] = block[i].time
        at[k] += 1
    equal = False
    for k in range(found):
        equal |= sort_run(begins[k], begins[k + 1], times, places, rows, sequence, tied)
    return equal


@njit(cache=True, nogil=True)
def sort_run(first: int, last: int, times: Ints, places: Shorts, rows: Shorts, sequence: Ints, tied: Bools) -> bool:
    """Sort one card's rows by time and sequence in place; marks, and says, where rows are equal in both.

    Shell's sort: one pass of insertion for the few rows a card mostly has, several for a long run out of order.
    """
    gap = 1
    while gap < (last - first) // INSERTED_MAX:
        gap = 3 * gap + 1
    while gap:
        for i in range(first + gap, last):
            time, place = times[i], places[i]
            j = i
            while j >= first + gap and (
                times[j - gap] > time
                or (times[j - gap] == time and sequence[rows[places[j - gap]]] > sequence[rows[place]])
            ):
                times[j] = times[j - gap]
                places[j] = places[j - gap]
                j -= gap
            times[j] = time
            places[j] = place
        gap //= 3
    equal = False
    for i in range(first + 1, last):
        if times[i] == times[i - 1] and sequence[rows[places[i]]] == sequence[rows[places[i - 1]]]:
            tied[i - 1] = tied[i] = True
            equal = True
    return equal


@njit(cache=True, nogil=True)
def span(time: Ints, marked: Bools) -> tuple[int, int]:
    """Earliest and latest time of the marked rows; (0, −1) when there is none."""
    earliest, latest = 2**62, -(2**62)
    for row in range(len(time)):
        if marked[row]:
            earliest = min(earliest, time[row])
            latest = max(latest, time[row])
    return (0, -1) if latest < earliest else (earliest, latest)
