"""Jitted functions that bring rows into the order of their owners: arrays in, arrays out, no imports of the project.

Owners may be spread over all of int64 (card numbers are keyed permutations), so no key packs owner, period and
sequence. Rows are dealt into parts by the range their owner lies in; a part fits into the cache, where counting
passes bring rows into the order of the high bits of their keys, a hash table numbers the owners, a last counting
pass brings each one's rows together, and these, few and nearly in order, are sorted by insertion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

MIX = np.uint64(0x9E3779B97F4A7C15)
INSERTED_MAX = 48
"""Longer runs of one owner are sorted by merging where they are not in order."""
DIGIT_BITS = 10
DIGITS, DIGIT_MASK = 1 << DIGIT_BITS, np.uint64((1 << DIGIT_BITS) - 1)
COUNTED_MIN = 256
"""Fewer values are not worth the counting of digits."""
DEALT = np.dtype([("owner", np.int64), ("key", np.int64), ("row", np.int32)], align=True)
"""A row at its place: its owner, what orders it among the owner's rows, its number. One record, not three columns:
writing far from the place before is what takes the time."""


@njit(cache=True, nogil=True)
def in_order(owner: Ints, period: Ints, sequence: Ints, new: Bools) -> bool:
    """Whether rows stand strictly by (owner, period, sequence); marks in ``new`` where a pair begins."""
    for row in range(len(owner)):
        new[row] = True
        if row and owner[row] == owner[row - 1]:
            if period[row] == period[row - 1]:
                if sequence[row] <= sequence[row - 1]:
                    return False
                new[row] = False
            elif period[row] < period[row - 1]:
                return False
        elif row and owner[row] < owner[row - 1]:
            return False
    return True


@njit(cache=True, nogil=True)
def deal(owner: Ints, splitters: Ints, low: int, shift: int, near: Codes, part: Codes, counts: Ints) -> None:
    """Part of each row: how many of the rising ``splitters`` lie below its owner; counts rows by part.

    The owners that begin with the same bits after ``shift`` (above ``low``) lie in parts ``near[bits]`` to
    ``near[bits + 1]``: mostly one or two.
    """
    for row in range(len(owner)):
        bits = np.int64((np.uint64(owner[row]) - np.uint64(low)) >> np.uint64(shift))
        found, end = np.int64(near[bits]), np.int64(near[bits + 1])
        while found < end:
            middle = (found + end) >> 1
            if owner[row] > splitters[middle]:
                found = middle + 1
            else:
                end = middle
        part[row] = found
        counts[found] += 1


@njit(cache=True, nogil=True)
def collect(
    part: Codes,
    owner: Ints,
    period: Ints,
    sequence: Ints,
    low_period: int,
    low_sequence: int,
    bits: int,
    first: int,
    last: int,
    at: Ints,
    place: Rows,
    dealt: Any,
) -> None:
    """Give rows ``first`` to ``last`` their places in their parts, and each place its record of :data:`DEALT`.

    A key is (period, sequence), the lower ``bits`` being the sequence, above the lowest of both; a lower period
    counts as the lowest. ``at`` holds the next free place of each part.
    """
    for row in range(first, last):
        to = at[part[row]]
        at[part[row]] = to + 1
        place[row] = to
        here = dealt[to]
        here.owner = owner[row]
        here.key = ((max(period[row], low_period) - low_period) << bits) | (sequence[row] - low_sequence)
        here.row = row


@njit(cache=True, nogil=True)
def find_runs(owners: Ints, chosen: Bools, order: Rows, begins: Ints) -> tuple[int, int]:
    """The ``chosen`` ones of rows that stand in order: ``order`` lists them, ``begins`` where each owner's begin.

    ``chosen`` without rows is all. Returns the number of owners and of rows; ``begins`` ends with the latter.
    """
    found = count = 0
    for i in range(len(owners)):
        if len(chosen) and not chosen[i]:
            continue
        if count == 0 or owners[i] != owners[order[count - 1]]:
            begins[found] = count
            found += 1
        order[count] = i
        count += 1
    begins[found] = count
    return found, count


@njit(cache=True, nogil=True)
def sort_part(dealt: Any, chosen: Bools, order: Rows, key: Ints) -> tuple[Ints, Ints, bool]:
    """The ``chosen`` rows of a part (without rows: all) by (owner, key): fills ``order`` and their keys ``key``.

    Returns the distinct owners in rising order, where each one's rows begin (and the end of the last), and whether
    an owner has a key twice.
    """
    owners, keys = np.empty(len(dealt), np.int64), np.empty(len(dealt), np.int64)
    for i in range(len(dealt)):
        owners[i], keys[i] = dealt[i].owner, dealt[i].key
    number_of, distinct, begins, begin_of = number_owners(owners, chosen)
    at = begin_of.copy()
    for i in by_high_bits(keys.view(np.uint64)):
        number = number_of[i]
        if number < 0:
            continue
        begin, place = begin_of[number], at[number]
        at[number] = place + 1
        if place - begin < INSERTED_MAX:
            while place > begin and key[place - 1] > keys[i]:
                key[place], order[place] = key[place - 1], order[place - 1]
                place -= 1
        key[place], order[place] = keys[i], i
    twice = False
    for run in range(len(distinct)):
        begin, end = begins[run], begins[run + 1]
        if end - begin > INSERTED_MAX and not rising(key[begin:end]):
            by_key = np.argsort(key[begin:end], kind="mergesort")
            key[begin:end], order[begin:end] = key[begin:end][by_key], order[begin:end][by_key]
        for place in range(begin + 1, end):
            twice |= key[place] == key[place - 1]
    return distinct, begins, twice


@njit(cache=True, nogil=True)
def rising(key: Ints) -> bool:
    """Whether no key is below the one before it."""
    return bool(np.all(key[1:] >= key[:-1]))


@njit(cache=True, nogil=True)
def by_high_bits(values: Words) -> Rows:
    """Places of the values by their highest bits, as far as two digits reach; few places come as they are.

    Equal ones keep their order. Most values differ there, so that little is left to compare.
    """
    n = len(values)
    first, second = np.arange(n).astype(np.int32), np.empty(n, np.int32)
    if n < COUNTED_MIN:
        return first
    used, width = np.uint64(0), 0
    for i in range(n):
        used |= values[i]
    while width < 64 and used >> np.uint64(width):
        width += 1
    shift = np.uint64(max(width - 2 * DIGIT_BITS, 0))
    next_shift = shift + np.uint64(DIGIT_BITS)
    low, high = np.zeros(DIGITS, np.int32), np.zeros(DIGITS, np.int32)
    for i in range(n):
        low[(values[i] >> shift) & DIGIT_MASK] += 1
        high[(values[i] >> next_shift) & DIGIT_MASK] += 1
    below_low = below_high = 0
    for digit in range(DIGITS):
        of_low, of_high = low[digit], high[digit]
        low[digit], high[digit] = below_low, below_high
        below_low += of_low
        below_high += of_high
    for i in range(n):
        bits = (values[i] >> shift) & DIGIT_MASK
        first[low[bits]] = i
        low[bits] += 1
    for place in first:
        bits = (values[place] >> next_shift) & DIGIT_MASK
        second[high[bits]] = place
        high[bits] += 1
    return second


@njit(cache=True, nogil=True)
def hash_owners(owners: Ints, chosen: Bools, bits: int, number_of: Rows, distinct: Ints, count: Rows) -> int:
    """Number the distinct owners as they come in a table of 2 to the power ``bits``; −1 = it is too small.

    Fills the number of each row (−1 = not chosen), the owner of each number and how many rows it has.
    """
    owner_in = np.empty(1 << bits, np.int64)
    number_in = np.full(1 << bits, -1, np.int32)
    shift, found = np.uint64(64 - bits), 0
    for i in range(len(owners)):
        if len(chosen) and not chosen[i]:
            number_of[i] = -1
            continue
        owner = owners[i]
        slot = np.int64((np.uint64(owner) * MIX) >> shift)
        while number_in[slot] >= 0 and owner_in[slot] != owner:
            slot = (slot + 1) & ((1 << bits) - 1)
        number = number_in[slot]
        if number < 0:
            if 2 * found >= 1 << bits:
                return -1
            number = found
            number_in[slot], owner_in[slot], distinct[found], count[found] = found, owner, owner, 0
            found += 1
        count[number] += 1
        number_of[i] = number
    return found


@njit(cache=True, nogil=True)
def number_owners(owners: Ints, chosen: Bools) -> tuple[Rows, Ints, Ints, Ints]:
    """Number of each row's owner (−1 = not chosen); the distinct owners in rising order and the begins of their rows.

    The last answer is where the rows of each number begin.
    """
    n, bits = len(owners), 4
    while (1 << bits) < n // 2:
        bits += 1
    number_of, distinct, count = np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32)
    found = hash_owners(owners, chosen, bits, number_of, distinct, count)
    while found < 0:
        # Mostly owners have many rows, and a small table stays near.
        bits += 2
        found = hash_owners(owners, chosen, bits, number_of, distinct, count)
    lowest = distinct[:found].min() if found else 0
    # Wraps around; as unsigned numbers, what the owners lie above the lowest rises with them.
    by_owner = by_high_bits((distinct[:found] - lowest).view(np.uint64))
    if not rising(distinct[:found][by_owner]):
        by_owner = np.argsort(distinct[:found]).astype(np.int32)
    begins, begin_of = np.zeros(found + 1, np.int64), np.empty(found, np.int64)
    for k in range(found):
        begin_of[by_owner[k]] = begins[k]
        begins[k + 1] = begins[k] + count[by_owner[k]]
    return number_of, distinct[:found][by_owner], begins, begin_of


@njit(cache=True, nogil=True)
def merge_pairs(
    owner: Ints, period: Ints, other_owner: Ints, other_period: Ints, number: Ints, other_number: Ints
) -> int:
    """Number the union of two strictly rising lists of (owner, period) in rising order; returns its length."""
    i = j = count = 0
    while i < len(owner) or j < len(other_owner):
        here = j == len(other_owner)
        there = i == len(owner)
        if not here and not there:
            here = owner[i] < other_owner[j] or (owner[i] == other_owner[j] and period[i] <= other_period[j])
            there = owner[i] > other_owner[j] or (owner[i] == other_owner[j] and period[i] >= other_period[j])
        if here:
            number[i] = count
            i += 1
        if there:
            other_number[j] = count
            j += 1
        count += 1
    return count


@njit(cache=True, nogil=True)
def spread_groups(order: Ints, begins: Ints, group: Ints, first: int, last: int, of_row: Ints) -> None:
    """Write the group of each row; runs ``first`` to ``last`` begin at ``begins`` of ``order``."""
    for run in range(first, last):
        for position in range(begins[run], begins[run + 1]):
            of_row[order[position]] = group[run]
