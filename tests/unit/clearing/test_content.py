"""Row hashes and content roots: twin, independence of order and cut, sensitivity to every bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import kernels_reference as reference

from clearing import content
from clearing.content import add_roots, hash_rows, root_text

tables = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 255), min_size=n, max_size=n),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n),
        st.lists(st.integers(0, 2**64 - 1), min_size=n, max_size=n),
    )
)
Table = tuple[list[int], list[int], list[int]]


def columns(table: Table) -> list[np.ndarray]:
    return [np.array(values, dtype) for values, dtype in zip(table, ("uint8", "int64", "uint64"), strict=True)]


@given(tables)
@settings(deadline=None)
def test_hashes_are_the_twins(table: Table) -> None:
    found = hash_rows(columns(table), len(table[0]))
    pairs = list(zip(found.lo.tolist(), found.hi.tolist(), strict=True))
    expected = [reference.row_hash(row) for row in zip(*table, strict=True)]
    assert pairs == expected
    assert found.root() == reference.root(expected, [True] * len(expected))


@given(tables, st.integers(1, 5), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_root_knows_neither_order_nor_chunks(table: Table, chunk: int, random: object) -> None:
    whole = hash_rows(columns(table), len(table[0])).root()
    order = list(range(len(table[0])))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = [column[order] for column in columns(table)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "_CHUNK", chunk)
        assert hash_rows(mixed, len(order)).root() == whole
    parts = [[column[at : at + chunk] for column in mixed] for at in range(0, len(order), chunk)]
    assert add_roots(*(hash_rows(part, len(part[0])).root() for part in parts)) == whole


@given(tables, st.data())
@settings(deadline=None, max_examples=50)
def test_one_bit_changes_both_lanes(table: Table, data: st.DataObject) -> None:
    before = hash_rows(columns(table), len(table[0]))
    column, row = data.draw(st.integers(0, 2)), data.draw(st.integers(0, len(table[0]) - 1))
    changed = columns(table)
    changed[column][row] ^= changed[column].dtype.type(1)
    after = hash_rows(changed, len(table[0]))
    assert before.lo[row] != after.lo[row]
    assert before.hi[row] != after.hi[row]
    assert np.delete(before.lo, row).tolist() == np.delete(after.lo, row).tolist()


def test_columns_are_not_interchangeable() -> None:
    one, two = np.array([1], np.int64), np.array([2], np.int64)
    assert hash_rows([one, two], 1).root() != hash_rows([two, one], 1).root()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint64", "bool"])
def test_the_width_of_a_column_does_not_matter(dtype: str) -> None:
    values = np.array([0, 1], np.int64)
    assert hash_rows([values.astype(dtype)], 2).root() == hash_rows([values], 2).root()


@given(tables)
@settings(deadline=None, max_examples=30)
def test_adding_and_taking_away_leaves_nothing(table: Table) -> None:
    found = hash_rows(columns(table), len(table[0]))
    keep = np.arange(len(table[0])) % 2 == 0
    assert add_roots(found.root(keep), found.root(~keep)) == found.root()
    assert (found.root() - found.root(keep) - found.root(~keep)) % 2**128 == 0


def test_continuing_a_hash_is_not_starting_one() -> None:
    column = np.arange(5, dtype=np.int64)
    start = hash_rows([column], 5)
    continued = hash_rows([column], 5, start=start)
    expected = [reference.row_hash([v], start=reference.row_hash([v])) for v in column.tolist()]
    assert list(zip(continued.lo.tolist(), continued.hi.tolist(), strict=True)) == expected
    assert start.root() == hash_rows([column], 5).root(), "the start is not changed"


def test_roots_are_written_as_32_hex_digits() -> None:
    assert root_text(255) == "0" * 30 + "ff"
    assert root_text(2**128 - 1) == "f" * 32
