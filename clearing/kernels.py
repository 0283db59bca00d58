"""The loops that numpy is too slow for: row hashes, grouped sums, tables of keys, states of cards.

Arrays in, arrays out; nothing raises.

Every kernel has an exact twin in ``tests/reference/kernels_reference.py``. No kernel calls a kernel of another
file (numba's disk cache would not notice a change there).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_MUL_LO = np.uint64(0x9E3779B97F4A7C15)
_MUL_HI = np.uint64(0xC2B2AE3D27D4EB4F)
_FIN_1 = np.uint64(0xFF51AFD7ED558CCD)
_FIN_2 = np.uint64(0xC4CEB9FE1A85EC53)
_S29, _S32, _S33 = np.uint64(29), np.uint64(32), np.uint64(33)
_S23, _S41 = np.uint64(23), np.uint64(41)
_MOVES = 8
"""Moves per key before sorting in place is given up: of keys that spread evenly a bucket has one or two."""


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous read-only view, or a copy where there is none.

    Kernels compile once for each combination of array types, and numba tells read-only
    arrays (Arrow's, for instance) from writable ones: so their inputs are all read-only.
    """
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


@numba.njit(nogil=True, cache=True, error_model="numpy")
def absorb(lo, hi, values):
    """Mix one column into the running 128-bit row hashes, in place.

    Two independent multiply-xorshift lanes with different constants; each step is a bijection of the lane, so
    two rows that differ in one column only never collide in either lane. About 5 bytes of work per byte read.
    """
    for i in range(values.shape[0]):
        value = np.uint64(values[i])
        x = (lo[i] ^ value) * _MUL_LO
        lo[i] = x ^ (x >> _S29)
        y = (hi[i] + value) * _MUL_HI
        hi[i] = ((y << _S23) | (y >> _S41)) ^ (y >> _S33)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def finish(lo, hi):
    """Avalanche both lanes and cross them, in place; afterwards every bit depends on every column."""
    for i in range(lo.shape[0]):
        x = lo[i] ^ (hi[i] >> _S32)
        x = (x ^ (x >> _S33)) * _FIN_1
        x = (x ^ (x >> _S33)) * _FIN_2
        x ^= x >> _S33
        y = hi[i] + x
        y = (y ^ (y >> _S33)) * _FIN_2
        y = (y ^ (y >> _S33)) * _FIN_1
        lo[i], hi[i] = x, y ^ (y >> _S33)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def sum_128(lo, hi, keep):
    """(low, high) of Σ rows with ``keep`` of hi·2⁶⁴ + lo, modulo 2¹²⁸."""
    total_lo = np.uint64(0)
    total_hi = np.uint64(0)
    for i in range(lo.shape[0]):
        if keep[i]:
            total_lo += lo[i]
            total_hi += hi[i] + np.uint64(total_lo < lo[i])
    return total_lo, total_hi


@numba.njit(nogil=True, cache=True, error_model="numpy")
def sum_by_group(group, amount, count, total):
    """Add each row to its group: ``count[g] += 1``, ``total[g] += amount`` (int64 fen; bounds are the caller's)."""
    for i in range(group.shape[0]):
        count[group[i]] += 1
        total[group[i]] += amount[i]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def index_keys(keys, slots):
    """Enter the first position of each distinct key of a sorted column into a hash table, in place.

    ``slots`` int32[2ᵏ], −1 = empty, has room for more than the distinct keys; a key goes to the next free slot.
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(keys.shape[0]):
        if i == 0 or keys[i] != keys[i - 1]:
            slot = (keys[i] * _MUL_LO >> _S32) & mask
            while slots[slot] >= 0:
                slot = (slot + np.uint64(1)) & mask
            slots[slot] = i


@numba.njit(nogil=True, cache=True, error_model="numpy")
def find_valid(rows, slots, wanted, days, found):
    """``found[i]``: value of ``wanted[i]`` valid on ``days[i]``, −1 where none is, by the table of the keys.

    ``rows`` int64[n, 4]: bits of the key, value, first and last day (inclusive), sorted by key and first day. What is
    asked of a row lies together, for it is a cache miss away.
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(wanted.shape[0]):
        key = np.int64(wanted[i])
        slot = (wanted[i] * _MUL_LO >> _S32) & mask
        while slots[slot] >= 0 and rows[slots[slot], 0] != key:
            slot = (slot + np.uint64(1)) & mask
        found[i] = -1
        row = slots[slot]
        while 0 <= row < rows.shape[0] and rows[row, 0] == key:
            if rows[row, 2] <= days[i] <= rows[row, 3]:
                found[i] = rows[row, 1]
                break
            row += 1


@numba.njit(nogil=True, cache=True, error_model="numpy")
def enter_keys(keys, slot_key, slot_at, count, at):
    """``at[i]``: number of ``keys[i]`` in a hash table of ``count`` keys that takes new ones; returns the new count.

    Keys are numbered in the order of their first appearance. ``slot_at`` int32[2ᵏ], −1 = empty, has room for more
    than all keys; ``slot_key`` uint64[2ᵏ] says whose number it is.
    """
    mask = np.uint64(slot_at.shape[0] - 1)
    for i in range(keys.shape[0]):
        slot = (keys[i] * _MUL_LO >> _S32) & mask
        while slot_at[slot] >= 0 and slot_key[slot] != keys[i]:
            slot = (slot + np.uint64(1)) & mask
        if slot_at[slot] < 0:
            slot_key[slot] = keys[i]
            slot_at[slot] = count
            count += 1
        at[i] = slot_at[slot]
    return count


@numba.njit(nogil=True, cache=True, error_model="numpy")
def order_keys(keys, low, shift, starts, order):
    """``order``: positions that sort ``keys``, equal ones as they came; False where that would take too long.

    Keys are counted into buckets by ``(key - low) >> shift`` and put right from there, each moving past few others
    as long as they spread evenly, which ciphered card numbers do. ``starts`` int32[buckets + 1] is zero.
    """
    for i in range(keys.shape[0]):
        starts[((keys[i] - low) >> shift) + np.uint64(1)] += 1
    for bucket in range(1, starts.shape[0]):
        starts[bucket] += starts[bucket - 1]
    for i in range(keys.shape[0]):
        bucket = (keys[i] - low) >> shift
        order[starts[bucket]] = i
        starts[bucket] += 1
    moves = _MOVES * keys.shape[0]
    for k in range(1, keys.shape[0]):
        row = order[k]
        at = k
        while at > 0 and keys[order[at - 1]] > keys[row]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = row
        moves -= k - at
        if moves < 0:
            return False
    return True


@numba.njit(nogil=True, cache=True, error_model="numpy")
def mark_shared(keys, slots, shared):
    """Set ``shared[i]`` where another of the ``keys`` equals ``keys[i]``; 0 is no key.

    ``slots`` int32[2ᵏ], −1 = empty, has room for more than all keys.
    """
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(keys.shape[0]):
        if keys[i] != 0:
            slot = (keys[i] * _MUL_LO >> _S32) & mask
            while slots[slot] >= 0 and keys[slots[slot]] != keys[i]:
                slot = (slot + np.uint64(1)) & mask
            if slots[slot] < 0:
                slots[slot] = i
            else:
                shared[i] = True
                shared[slots[slot]] = True


@numba.njit(nogil=True, cache=True, error_model="numpy")
def find_keys(keys, slots, wanted, found):
    """``found[i]``: first position of ``wanted[i]`` in ``keys`` by the table of :func:`index_keys`, −1 if absent."""
    mask = np.uint64(slots.shape[0] - 1)
    for i in range(wanted.shape[0]):
        slot = (wanted[i] * _MUL_LO >> _S32) & mask
        while slots[slot] >= 0 and keys[slots[slot]] != wanted[i]:
            slot = (slot + np.uint64(1)) & mask
        found[i] = slots[slot]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def last_states(order, card, load, counter, time, cards, debits, loads, times):
    """Per card its highest counter of either kind (−1 = none) and time; returns how many cards there are.

    ``order`` sorts rows by ``card``; the four outputs have room for a card each.
    """
    count = 0
    for k in range(order.shape[0]):
        i = order[k]
        if count == 0 or cards[count - 1] != card[i]:
            cards[count], debits[count], loads[count], times[count] = card[i], -1, -1, time[i]
            count += 1
        last = count - 1
        if load[i]:
            loads[last] = max(loads[last], counter[i])
        else:
            debits[last] = max(debits[last], counter[i])
        times[last] = max(times[last], time[i])
    return count


@numba.njit(nogil=True, cache=True, error_model="numpy")
def rise_above(order, card, load, counter, time, cards, debits, loads, times, above):
    """``above[i]``: the card of row i has no state, or lower ones of the row's kind of counter and of time.

    ``order`` sorts rows by ``card``, and ``cards`` ascend: both are gone through once, side by side.
    """
    at = 0
    for k in range(order.shape[0]):
        i = order[k]
        while at < cards.shape[0] and cards[at] < card[i]:
            at += 1
        above[i] = True
        if at < cards.shape[0] and cards[at] == card[i]:
            last = loads[at] if load[i] else debits[at]
            above[i] = counter[i] > last and time[i] > times[at]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def merge_states(
    cards_1, debits_1, loads_1, times_1, cards_2, debits_2, loads_2, times_2, cards, debits, loads, times
):
    """Two tables of ascending cards as one, of equal cards the maxima; returns how many cards there are.

    The four outputs have room for the cards of both.
    """
    count = i = j = 0
    while i < cards_1.shape[0] or j < cards_2.shape[0]:
        if j == cards_2.shape[0] or (i < cards_1.shape[0] and cards_1[i] < cards_2[j]):
            cards[count], debits[count], loads[count], times[count] = cards_1[i], debits_1[i], loads_1[i], times_1[i]
            i += 1
        elif i == cards_1.shape[0] or cards_2[j] < cards_1[i]:
            cards[count], debits[count], loads[count], times[count] = cards_2[j], debits_2[j], loads_2[j], times_2[j]
            j += 1
        else:
            cards[count], times[count] = cards_1[i], max(times_1[i], times_2[j])
            debits[count], loads[count] = max(debits_1[i], debits_2[j]), max(loads_1[i], loads_2[j])
            i += 1
            j += 1
        count += 1
    return count
