"""Cache files by key range: whatever ranges were written, a partition reads what it needs of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearing.cache_files import ALL, KeyRange, KeyRangeFiles, mapped, packed, save, taken, wanted

keys = st.sets(st.integers(0, 2**64 - 1) | st.integers(0, 3) | st.integers(2**63 - 2, 2**63 + 1), max_size=40)


def all_ranges(bits: int) -> list[KeyRange]:
    return [KeyRange(bits, number) for number in range(1 << bits)]


@given(keys, st.sampled_from((0, 1, 5)))
@settings(deadline=None)
def test_every_key_is_in_one_range(listed: set[int], bits: int) -> None:
    for key in listed:
        homes = [key_range for key_range in all_ranges(bits) if key_range.ends[0] <= key <= key_range.ends[1]]
        assert len(homes) == 1
        assert homes[0].meets(ALL)
        assert [key_range for key_range in all_ranges(bits) if key_range.meets(homes[0])] == homes
        assert KeyRange.named(homes[0].name) == homes[0]


@given(keys, st.sampled_from((0, 1, 3)), st.sampled_from((0, 1, 3)), st.sampled_from((np.uint64, np.int64)))
@settings(deadline=None, max_examples=60)
def test_ranges_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, listed: set[int], written: int, read: int, dtype: type
) -> None:
    """Keys with a sign or without ascend as their type does."""
    files = KeyRangeFiles(tmp_path_factory.mktemp("ranges"), "a.name", "key")
    column = np.sort(np.array(sorted(listed), np.uint64).view(dtype))
    assert files.read(ALL) is None
    assert files.metadata("of") is None
    for key_range in all_ranges(written):
        here = column[key_range.slice(column)]
        files.stage(key_range, {"key": here, "value": here.astype(np.int64) // 2}, {"of": "somebody"})
    assert files.read(ALL) is None, "nothing counts before it is taken over"
    files.take_over()
    files.take_over()  # of a batch that staged nothing
    assert files.metadata("of") == "somebody"
    for key_range in all_ranges(read):
        found = files.read(key_range)
        assert found is not None
        assert found["key"].tolist() == column[key_range.slice(column)].tolist()
        assert found["value"].tolist() == (found["key"].astype(np.int64) // 2).tolist()


def test_other_ranges_take_the_place_of_all(tmp_path: Path) -> None:
    files, beside = KeyRangeFiles(tmp_path, "a", "key"), KeyRangeFiles(tmp_path, "a.b", "key")
    for key_range in all_ranges(2):
        files.stage(key_range, {"key": np.array([key_range.ends[0]], np.uint64)})
    beside.stage(ALL, {"key": np.array([7], np.uint64)})
    files.take_over()
    beside.take_over()
    files.stage(ALL, {"key": np.array([1, 2], np.uint64)})
    files.take_over()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.00-0000.arrow", "a.b.00-0000.arrow"]
    columns = files.read(ALL)
    assert columns is not None
    assert columns["key"].tolist() == [1, 2]


@pytest.mark.parametrize("rows", [[], [5], list(range(0, 5000, 3))], ids=["none", "few", "many"])
def test_rows_are_taken_alike_from_pages_and_whole_files(tmp_path: Path, rows: list[int]) -> None:
    path, at = tmp_path / "file.arrow", np.array(rows, np.int64)
    columns = {"value": np.arange(5000) * 3, "same": np.full(5000, 9)}
    save(path, *packed({"key": np.arange(5000, dtype=np.uint64)}, columns))
    table = wanted(path, mapped(path), at)
    found = taken(table, ("value", "same"), at)
    assert found["value"].tolist() == [3 * row for row in rows]
    assert found["same"].tolist() == [9] * len(rows)
