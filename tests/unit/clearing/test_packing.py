"""Packed columns come back as they were, whatever their range, sign and missing values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.records import NULL
from clearing.packing import pack, pack_all, unpack_all

DTYPES = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)


@st.composite
def columns(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    info = np.iinfo(dtype)
    low = draw(st.integers(int(info.min), int(info.max)))
    high = min(int(info.max), low + draw(st.sampled_from((0, 1, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64))))
    values = draw(st.lists(st.integers(low, high), max_size=20))
    if dtype == np.int64:
        values = [NULL if draw(st.booleans()) else value for value in values]
    return np.array(values, dtype)


@given(columns())
@settings(deadline=None, max_examples=400)
def test_a_column_comes_back(column: np.ndarray) -> None:
    packed, packings = pack_all({"column": column})
    back = unpack_all(packed, packings)["column"]
    assert back.dtype == column.dtype
    assert back.tolist() == column.tolist()


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([NULL, NULL], 0), ([5, 5], 0), ([1000, 1255], 1), ([1000, 1256], 2), ([NULL, -3, 251], 1),
        ([NULL, -3, 252], 2), ([0, 2**32 - 1], 4), ([0, 2**32], 8), ([NULL, 0, 2**32 - 1], 8),
        ([NULL, NULL + 1], 1), ([-(2**62), 2**62], 8),
    ],
)  # fmt: skip
def test_values_take_the_bytes_they_need(values: list[int], width: int) -> None:
    codes, _ = pack(np.array(values, np.int64))
    assert (codes.dtype.itemsize if codes is not None else 0) == width
