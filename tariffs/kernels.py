"""Jitted functions that bring rows into the order of their owners: arrays in, arrays out, no imports of the project.

Owners may be spread over all of int64 (card numbers are keyed permutations), so no key packs owner, period and
sequence. Rows are dealt into parts by the range their owner lies in; a part fits into the cache, where two counting
passes, over high bits of the keys and of the owners, bring its rows nearly in order. The few that are not are
inserted; a part in which many are not is sorted by merging.
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

KEY_BITS = 10
"""High bits of the keys that are counted: a card's month of rows seldom has two in one."""
OWNER_BITS_MAX = 20
"""High bits of the owners that are counted at most; else as many places as rows, or up to twice as many. With those
of the keys and the number of a row, an int32, they fit into a word."""
MOVED_MAX = 4
"""Places a row that is out of order may move, on average, before merging is faster."""
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
def ends(values: Ints) -> tuple[int, int]:
    """Lowest and highest of values, at least one."""
    low = high = values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    return low, high


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
def give_places(part: Codes, at: Ints, place: Rows) -> None:
    """Give rows their places in their parts; ``at`` holds the next free place of each part."""
    for row in range(len(part)):
        to = at[part[row]]
        at[part[row]] = to + 1
        place[row] = to


@njit(cache=True, nogil=True)
def collect(
    place: Rows,
    owner: Ints,
    period: Ints,
    sequence: Ints,
    packing: tuple[int, int, int],
    first: int,
    last: int,
    dealt: Any,
) -> None:
    """Write the records of :data:`DEALT` of rows ``first`` to ``last`` to their places.

    A key is (period, sequence) above the lowest of both, which are the first two of ``packing``; its last is the
    bits of the sequence, the lower ones.
    """
    low_period, low_sequence, bits = packing
    for row in range(first, last):
        here = dealt[place[row]]
        here.owner = owner[row]
        here.key = ((period[row] - low_period) << bits) | (sequence[row] - low_sequence)
        here.row = row


@njit(cache=True, nogil=True)
def sort_rows(records: Any, rows: Rows, in_order: Any) -> tuple[Rows, Ints, Ints, bool]:
    """The given ``rows`` of a part, at least one, by (owner, key), which all kinds of records have.

    Returns their numbers in order, the distinct owners in rising order, where each one's rows begin (and the end of
    the last), and whether an owner has a key twice. ``in_order`` is filled with their records.
    """
    n = len(rows)
    low = high = last = records[rows[0]].owner
    low_key = high_key = last_key = records[rows[0]].key
    risen = by_key = True
    for i in range(1, n):
        owner, key = records[rows[i]].owner, records[rows[i]].key
        low, high = min(low, owner), max(high, owner)
        low_key, high_key = min(low_key, key), max(high_key, key)
        by_key &= last_key <= key
        risen &= (last < owner) | ((last == owner) & (last_key <= key))
        last, last_key = owner, key
    order = rows.copy()
    if not risen:
        by_high_bits(records, rows, (low, high), (low_key, high_key), by_key, order)
    for i in range(n):
        in_order[i] = records[order[i]]
    if not risen and not insert(in_order, order):
        merge(in_order, order)
    owners, begins, found, twice = np.empty(n, np.int64), np.empty(n + 1, np.int64), 0, False
    last = ~in_order[0].owner
    for i in range(n):
        # Written for every row and kept for the first of each owner: which is first is anybody's guess.
        owner, key = in_order[i].owner, in_order[i].key
        new = owner != last
        found += new
        begins[found - 1] = i if new else begins[found - 1]
        owners[found - 1] = owner
        twice |= (not new) & (key == last_key)
        last, last_key = owner, key
    begins[found] = n
    return order, owners[:found], begins[: found + 1], twice


@njit(cache=True, nogil=True)
def by_high_bits(
    records: Any, rows: Rows, owner_span: tuple[int, int], key_span: tuple[int, int], by_key: bool, order: Rows
) -> None:
    """Write to ``order`` the rows by the high bits of their owner and, of rows that share these, of their key.

    The bits lie above the lowest of each, which with the highest is given; ``by_key``: rows stand by key already.
    Each row is one word, high bits above its number, so that what is moved is read in order.
    """
    n, row_bits = len(rows), 1
    while 1 << row_bits < len(records):
        row_bits += 1
    of_owner, owner_shift, owner_at = digits(owner_span, min(row_bits, OWNER_BITS_MAX))
    of_key, key_shift, key_at = digits(key_span, KEY_BITS)
    above_row, above_key = np.uint64(row_bits), np.uint64(row_bits + KEY_BITS)
    words = np.empty(n, np.uint64)
    for i in range(n):
        row = rows[i]
        # Wraps around; as unsigned numbers, what the values lie above the lowest rises with them.
        high_owner = (np.uint64(records[row].owner) - of_owner) >> owner_shift
        high_key = (np.uint64(records[row].key) - of_key) >> key_shift
        words[i] = high_owner << above_key | high_key << above_row | np.uint64(row)
        owner_at[np.int64(high_owner)] += 1
        key_at[np.int64(high_key)] += 1
    if not by_key:
        begin_digits(key_at)
        given, words = words, np.empty(n, np.uint64)
        for word in given:
            digit = np.int64(word >> above_row) & ((1 << KEY_BITS) - 1)
            words[key_at[digit]] = word
            key_at[digit] += 1
    begin_digits(owner_at)
    for word in words:
        digit = np.int64(word >> above_key)
        order[owner_at[digit]] = np.int64(word) & ((1 << row_bits) - 1)
        owner_at[digit] += 1


@njit(cache=True, nogil=True)
def digits(span_of: tuple[int, int], bits: int) -> tuple[np.uint64, np.uint64, Rows]:
    """What to take from values between those of ``span_of`` and by how much to shift them, so that digits of at most
    ``bits`` are left; and a zero for each digit."""
    low = np.uint64(span_of[0])
    span, width = np.uint64(span_of[1]) - low, 0
    while width < 64 and span >> np.uint64(width):
        width += 1
    shift = np.uint64(max(width - bits, 0))
    return low, shift, np.zeros(np.int64(span >> shift) + 1, np.int32)


@njit(cache=True, nogil=True)
def begin_digits(at: Rows) -> None:
    """Turn how many rows have each digit into where the first of them goes."""
    begin = np.int32(0)
    for digit in range(len(at)):
        count = at[digit]
        at[digit] = begin
        begin += count


@njit(cache=True, nogil=True)
def insert(records: Any, order: Rows) -> bool:
    """Sort both by (owner, key), which they nearly are; false = they are not, and are left half sorted."""
    left, held = MOVED_MAX * len(order), records[:1].copy()
    for i in range(1, len(order)):
        owner, key, row, at = records[i].owner, records[i].key, order[i], i
        if (records[i - 1].owner < owner) | ((records[i - 1].owner == owner) & (records[i - 1].key <= key)):
            continue
        held[0] = records[i]
        while at > 0 and (
            records[at - 1].owner > owner or (records[at - 1].owner == owner and records[at - 1].key > key)
        ):
            records[at], order[at] = records[at - 1], order[at - 1]
            at -= 1
        records[at], order[at] = held[0], row
        left -= i - at
        if left < 0:
            return False
    return True


@njit(cache=True, nogil=True)
def merge(records: Any, order: Rows) -> None:
    """Sort both by (owner, key), merging runs of doubling length."""
    n, width = len(order), 1
    while width < n:
        given, row = records.copy(), order.copy()
        for first in range(0, n, 2 * width):
            middle, last = min(first + width, n), min(first + 2 * width, n)
            left, right = first, middle
            for at in range(first, last):
                here = left < middle and (
                    right == last
                    or given[left].owner < given[right].owner
                    or (given[left].owner == given[right].owner and given[left].key <= given[right].key)
                )
                source = left if here else right
                records[at], order[at] = given[source], row[source]
                left += here
                right += not here
        width *= 2


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
