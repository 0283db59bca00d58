"""Blocks of records put together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from card_io.records import BILL_FIELDS, RecordBlock, Service, fields_of


def block(rows: int, *, texts: dict[int, str] | None = None, bills_of: tuple[int, ...] = ()) -> RecordBlock:
    """Rows whose every value is their own number, the cards at ``texts`` opaque, a bill for each of ``bills_of``."""
    number = np.arange(rows)
    bills = {field.name: np.array(bills_of, field.dtype) for field in BILL_FIELDS}
    return RecordBlock(
        Service.UTILITY,
        number + 1,
        number.astype(np.uint64),
        np.full(rows, 16, np.uint8),
        texts or {},
        {field.name: number.astype(field.dtype) for field in fields_of(Service.UTILITY)},
        {**bills, "bill_row": np.array(bills_of, np.int64)},
    )


def test_joined_blocks_keep_rows_texts_and_bills_together() -> None:
    parts = [block(3, texts={1: "one"}, bills_of=(0, 2)), block(0), block(2, texts={0: "two"}, bills_of=(1, 1))]
    joined = RecordBlock.joined(parts)

    assert len(joined) == 5
    assert joined.source_row.tolist() == [1, 2, 3, 1, 2]
    assert joined.card_text == {1: "one", 3: "two"}
    assert joined.bills["bill_row"].tolist() == [0, 2, 4, 4]
    assert joined.bills["bill_id"].tolist() == [0, 2, 1, 1]
    for name, column in joined.columns.items():
        assert column.dtype == parts[0].columns[name].dtype
        assert column.tolist() == [0, 1, 2, 0, 1], name


def test_a_block_alone_is_itself() -> None:
    alone = block(2)
    assert RecordBlock.joined([alone]) is alone


def test_rows_of_two_services_are_never_joined() -> None:
    with pytest.raises(AssertionError, match="two services"):
        RecordBlock.joined([block(1), replace(block(1), service=Service.RETAIL)])
