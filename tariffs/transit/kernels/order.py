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
INSERTED_MAX = 48
"""Longer runs of one card are sorted by merging first."""


@njit(cache=True, nogil=True)
def in_order(card: Ints, sequence: Ints, facts: Any) -> bool:
    """Whether every row is marked and all stand strictly by (card, time, sequence)."""
    if facts[0].marks == 0:
        return False
    for row in range(1, len(card)):
        if facts[row].marks == 0 or card[row] < card[row - 1]:
            return False
        if card[row] == card[row - 1]:
            before, now = facts[row - 1].time, facts[row].time
            if now < before or (now == before and sequence[row] <= sequence[row - 1]):
                return False
    return True


@njit(cache=True, nogil=True)
def deal(card: Ints, facts: Any, splitters: Ints, first: int, last: int, part: Codes, counts: Ints) -> None:
    """Part of each marked row from ``first`` to ``last``, and how many each part gets; unmarked rows: the last code.

    ``splitters`` rise and are padded to 2ᵏ − 1 with the largest int64; equal cards get one part.
    """
    half = (len(splitters) + 1) >> 1
    for row in range(first, last):
        if facts[row].marks == 0:
            part[row] = 65_535
            continue
        number, found, step = card[row], 0, half
        while step:
            found += step if number > splitters[found + step - 1] else 0
            step >>= 1
        part[row] = found
        counts[found] += 1


@njit(cache=True, nogil=True)
def collect(part: Codes, first: int, last: int, at: Ints, rows: Shorts) -> None:
    """Write row numbers into their parts; ``at`` holds the next free place of each."""
    for row in range(first, last):
        of = part[row]
        if of != 65_535:
            rows[at[of]] = row
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
def group_rows(
    rows: Shorts, card: Ints, sequence: Ints, facts: Any, ordered: Shorts, cards: Ints, begins: Ints, tied: Bools
) -> tuple[int, bool]:
    """Rows of a part by card (rising), time and sequence: number of cards, and whether some rows are equal in these.

    Fills ``ordered``, ``cards``, ``begins`` (one more than cards) and ``tied`` (positions of equal rows).
    """
    n = len(rows)
    bits = 1
    while (1 << bits) < 2 * n:
        bits += 1
    keys = np.empty(1 << bits, np.int64)
    numbers = np.full(1 << bits, -1, np.int32)
    number_of = np.empty(n, np.int32)
    shift = np.uint64(64 - bits)
    found = 0
    for i in range(n):
        key = card[rows[i]]
        slot = np.int64((np.uint64(key) * MIX) >> shift)
        while numbers[slot] >= 0 and keys[slot] != key:
            slot = (slot + 1) & ((1 << bits) - 1)
        if numbers[slot] < 0:
            numbers[slot] = found
            keys[slot] = key
            cards[found] = key
            found += 1
        number_of[i] = numbers[slot]
    by_card = np.argsort(cards[:found])
    rank = np.empty(found, np.int32)
    for k in range(found):
        rank[by_card[k]] = k
    cards[:found] = cards[:found][by_card]
    begins[: found + 1] = 0
    for i in range(n):
        number_of[i] = rank[number_of[i]]
        begins[number_of[i] + 1] += 1
    for k in range(found):
        begins[k + 1] += begins[k]
    at = begins[:found].copy()
    times = np.empty(n, np.int64)
    for i in range(n):
        place = at[number_of[i]]
        at[number_of[i]] = place + 1
        ordered[place] = rows[i]
        times[place] = facts[rows[i]].time
    equal = False
    for k in range(found):
        equal |= sort_run(begins[k], begins[k + 1], times, ordered, sequence, tied)
    return found, equal


@njit(cache=True, nogil=True)
def sort_run(first: int, last: int, times: Ints, ordered: Shorts, sequence: Ints, tied: Bools) -> bool:
    """Sort one card's rows by time and sequence in place; marks, and says, where rows are equal in both."""
    if last - first > INSERTED_MAX:
        keys = np.empty(last - first, np.int64)
        for i in range(len(keys)):
            keys[i] = sequence[ordered[first + i]]
        by_sequence = np.argsort(keys, kind="mergesort")
        by_both = by_sequence[np.argsort(times[first:last][by_sequence], kind="mergesort")]
        times[first:last] = times[first:last][by_both]
        ordered[first:last] = ordered[first:last][by_both]
    equal = False
    for i in range(first + 1, last):
        time, row = times[i], ordered[i]
        j = i
        while j > first and (
            times[j - 1] > time or (times[j - 1] == time and sequence[ordered[j - 1]] > sequence[row])
        ):
            times[j] = times[j - 1]
            ordered[j] = ordered[j - 1]
            j -= 1
        times[j] = time
        ordered[j] = row
    for i in range(first + 1, last):
        same = times[i] == times[i - 1] and sequence[ordered[i]] == sequence[ordered[i - 1]]
        if same:
            tied[i - 1] = tied[i] = True
            equal = True
    return equal


@njit(cache=True, nogil=True)
def gather(facts: Any, rows: Shorts, block: Any) -> None:
    """``block[i] = facts[rows[i]]``: the walk would otherwise wait for memory at every row."""
    for i in range(len(rows)):
        block[i] = facts[rows[i]]


@njit(cache=True, nogil=True)
def span(facts: Any) -> tuple[int, int]:
    """Earliest and latest time of the marked rows; (0, −1) when there is none."""
    earliest, latest = 2**62, -(2**62)
    for row in range(len(facts)):
        if facts[row].marks:
            earliest = min(earliest, facts[row].time)
            latest = max(latest, facts[row].time)
    return (0, -1) if latest < earliest else (earliest, latest)
