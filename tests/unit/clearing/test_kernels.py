"""The loops against their twins in plain Python integers; with the JIT off the same file gives coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import kernels_reference as reference

from clearing import kernels
from clearing.history import CardStates, by_card
from clearing.key_index import ascending
from clearing.replay import COMPETITOR_COLUMNS, Competitors

words = st.integers(0, 2**64 - 1)
rows = st.lists(st.tuples(words, words, words), min_size=1, max_size=20)


def lanes(values: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.array(column, np.uint64) for column in zip(*values, strict=True)]


@given(rows)
@settings(deadline=None)
def test_absorb(values: list[tuple[int, int, int]]) -> None:
    lo, hi, column = lanes(values)
    kernels.absorb(lo, hi, column)
    assert list(zip(lo.tolist(), hi.tolist(), strict=True)) == [reference.absorb(*row) for row in values]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9))
@settings(deadline=None)
def test_absorb_takes_signed_values_as_twos_complement(values: list[int]) -> None:
    lo, hi = np.full(len(values), 3, np.uint64), np.full(len(values), 4, np.uint64)
    kernels.absorb(lo, hi, np.array(values, np.int64))
    assert list(zip(lo.tolist(), hi.tolist(), strict=True)) == [reference.absorb(3, 4, value) for value in values]


@given(rows)
@settings(deadline=None)
def test_finish(values: list[tuple[int, int, int]]) -> None:
    lo, hi, _ = lanes(values)
    kernels.finish(lo, hi)
    assert list(zip(lo.tolist(), hi.tolist(), strict=True)) == [reference.finish(lo, hi) for lo, hi, _ in values]


@given(rows)
@settings(deadline=None)
def test_sum_128(values: list[tuple[int, int, int]]) -> None:
    """Carries included: the third word decides which rows are kept."""
    lo, hi, third = lanes(values)
    keep = third % np.uint64(2) == 1
    low, high = kernels.sum_128(lo, hi, keep)
    assert (int(high) << 64) + int(low) == reference.root([row[:2] for row in values], keep.tolist())


def test_sum_128_carries_and_wraps() -> None:
    top = np.full(3, 2**64 - 1, np.uint64)
    low, high = kernels.sum_128(top, top, np.ones(3, bool))
    assert (int(high) << 64) + int(low) == 3 * (2**128 - 1) % 2**128


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-(2**40), 2**40)), max_size=40))
@settings(deadline=None)
def test_sum_by_group(pairs: list[tuple[int, int]]) -> None:
    group, amount = [at for at, _ in pairs], [fen for _, fen in pairs]
    count, total = np.zeros(5, np.int64), np.zeros(5, np.int64)
    kernels.sum_by_group(np.array(group, np.int64), np.array(amount, np.int64), count, total)
    assert (count.tolist(), total.tolist()) == reference.sums(group, amount, 5)


@given(
    st.lists(st.integers(0, 9) | words, max_size=40).map(sorted),
    st.lists(st.integers(0, 9) | words, max_size=20),
    st.integers(0, 2),
)
@settings(deadline=None)
def test_find_keys(keys: list[int], others: list[int], spare: int) -> None:
    """In tables from just large enough, where keys crowd, to roomy ones."""
    wanted = keys + others
    column = np.array(keys, np.uint64)
    slots = np.full(1 << (len(keys).bit_length() + spare), -1, np.int32)
    kernels.index_keys(column, slots)
    found = np.empty(len(wanted), np.int64)
    kernels.find_keys(column, slots, np.array(wanted, np.uint64), found)
    assert found.tolist() == reference.first_positions(keys, wanted)


@given(st.lists(st.integers(0, 9) | words | st.integers(2**64 - 10, 2**64 - 1), max_size=60))
@settings(deadline=None)
def test_order_of_keys(keys: list[int]) -> None:
    """Spread evenly or crowded, where counting gives up; equal keys stay as they came."""
    assert ascending(np.array(keys, np.uint64)).tolist() == reference.order(keys)


def test_order_of_keys_that_crowd() -> None:
    """All but one in a bucket, in the worst order: given up, and sorted all the same."""
    keys = np.append(np.arange(5_000, dtype=np.uint64)[::-1], np.uint64(2**63))
    starts, order = np.zeros(1 << 14, np.int32), np.empty(len(keys), np.int64)
    assert not kernels.order_keys(kernels.read_only(keys), np.uint64(0), np.uint64(51), starts, order)
    assert ascending(keys).tolist() == reference.order(keys.tolist())


@given(st.lists(st.integers(0, 9) | words, max_size=40), st.integers(0, 2))
@settings(deadline=None)
def test_mark_shared(keys: list[int], spare: int) -> None:
    slots = np.full(1 << (len(keys).bit_length() + spare), -1, np.int32)
    found = np.zeros(len(keys), bool)
    kernels.mark_shared(np.array(keys, np.uint64), slots, found)
    assert found.tolist() == reference.shared(keys)


@given(st.lists(st.lists(st.integers(0, 9) | words, max_size=20), max_size=4), st.integers(0, 2))
@settings(deadline=None)
def test_enter_keys(blocks: list[list[int]], spare: int) -> None:
    """Block after block into one table, from just large enough to roomy."""
    keys = [key for block in blocks for key in block]
    slots = 1 << (len(keys).bit_length() + spare)
    slot_key, slot_at = np.empty(slots, np.uint64), np.full(slots, -1, np.int32)
    count, numbers = 0, []
    for block in blocks:
        at = np.empty(len(block), np.int64)
        count = kernels.enter_keys(np.array(block, np.uint64), slot_key, slot_at, count, at)
        numbers += at.tolist()
    assert numbers == reference.numbers_of(keys)
    assert count == len(set(keys))


moves = st.lists(
    st.tuples(st.integers(0, 5) | words, st.booleans(), st.integers(0, 9), st.integers(0, 9)), max_size=30
)


def competing(rows: list[tuple[int, bool, int, int]]) -> tuple[Competitors, np.ndarray, np.ndarray]:
    """Rows of which only card, counter and time matter, with their kinds and their order by card."""
    card, load, counter, time = zip(*rows, strict=True) if rows else ((), (), (), ())
    dtypes = dict.fromkeys(COMPETITOR_COLUMNS, np.uint64)
    columns = {name: np.zeros(len(rows), dtype) for name, dtype in dtypes.items()}
    columns |= {"card_id": np.array(card, np.uint64), "card_counter": np.array(counter, np.int64)}
    columns |= {"txn_time": np.array(time, np.int64), "multiplicity": np.ones(len(rows), np.uint8)}
    found = Competitors(**columns)
    return found, np.array(load, bool), by_card(found)


def listed(states: CardStates) -> dict[int, tuple[int, ...]]:
    cards, *values = (column.tolist() for column in states.columns())
    assert cards == sorted(set(cards))
    return dict(zip(cards, zip(*values, strict=True), strict=True))


@given(moves, moves, moves)
@settings(deadline=None, max_examples=200)
def test_states_of_cards(first: list[Any], second: list[Any], asked: list[Any]) -> None:
    """Of rows, of rows after those of others, and what rises above them."""
    ours = CardStates.of(*competing(first))
    assert listed(ours) == reference.states(first)
    ours = ours.advanced(CardStates.of(*competing(second)))
    theirs = reference.states(second, reference.states(first))
    assert listed(ours) == theirs
    rows, load, order = competing(asked)
    assert ours.surely_new(rows, load, order).tolist() == reference.rises(asked, theirs)
