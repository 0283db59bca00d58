"""Partitions between the passes: every row comes back once, whole cards together, bills with their payments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.records import BILL_FIELDS, Service
from clearing import spill
from clearing.records import Rows, empty_bills
from clearing.spill import Partitions


def block(service: Service, cards: list[int], first: int, bills_per_row: int = 0) -> Rows:
    """Rows that say who they are: ``txn_id`` counts up, and a payment's bills name its txn_id."""
    n = len(cards)
    columns = {"card_id": np.array(cards, np.uint64), "txn_id": np.arange(first, first + n, dtype=np.int64)}
    bills = empty_bills()
    if bills_per_row:
        parent = np.repeat(np.arange(n, dtype=np.int64), bills_per_row)
        bills = {f.name: np.zeros(len(parent), f.dtype) for f in BILL_FIELDS}
        bills |= {"bill_row": parent, "bill_paid": np.zeros(len(parent), np.uint8)}
        bills["bill_id"] = columns["txn_id"][parent] * 10 + np.arange(len(parent)) % bills_per_row
    return Rows(service, columns, bills)


def partitions(folder: Path, rows: int, aimed_at: int) -> Partitions:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "IN_MEMORY_ROWS", aimed_at)
        patch.setattr(spill, "PARTITION_ROWS", aimed_at)
        return Partitions(folder, rows)


@pytest.mark.parametrize(
    ("rows", "count"), [(0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (201, 4), (400, 4), (401, 8), (100_000, 1024)]
)
def test_the_number_of_partitions(tmp_path: Path, rows: int, count: int) -> None:
    assert partitions(tmp_path / "spill", rows, 100).count == count


def test_a_small_day_spills_nothing(tmp_path: Path) -> None:
    parts = partitions(tmp_path / "spill", 3, 100)
    parts.add(block(Service.RETAIL, [1, 2], 0))
    parts.add(block(Service.RETAIL, [3], 2))
    assert not (tmp_path / "spill").exists()
    assert parts.read(0)[Service.RETAIL]["txn_id"].tolist() == [0, 1, 2]


cards = st.lists(st.integers(0, 2**64 - 1), max_size=30)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([Service.RETAIL, Service.UTILITY]), cards), max_size=5), st.integers(1, 60))
def test_every_row_comes_back_once(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[Service, list[int]]], aimed_at: int
) -> None:
    sent = []
    for service, listed in blocks:
        sent.append(block(service, listed, sum(len(b) for b in sent), 2 if service is Service.UTILITY else 0))
    folder = tmp_path_factory.mktemp("spill") / "spill"
    parts = partitions(folder, sum(len(b) for b in sent), aimed_at)
    for each in sent:
        parts.add(each)
    home: dict[int, int] = {}
    found: dict[Service, list[int]] = {}
    for number in range(parts.count):
        for service, rows in parts.read(number).items():
            found.setdefault(service, []).extend(rows["txn_id"].tolist())
            for card in rows["card_id"].tolist():
                assert home.setdefault(card, number) == number, "all rows of a card meet in one partition"
            if service is Service.UTILITY:
                payments = rows["txn_id"][rows.bills["bill_row"].astype(np.int64)]
                assert np.array_equal(rows.bills["bill_id"] // 10, payments), "bills stay with their payment"
                assert len(payments) == 2 * len(rows)
    for service in (Service.RETAIL, Service.UTILITY):
        expected = [txn for each in sent if each.service is service for txn in each["txn_id"].tolist()]
        assert sorted(found.get(service, [])) == expected
    parts.close()
    assert not folder.exists()


def test_what_a_crash_left_is_forgotten(tmp_path: Path) -> None:
    left = tmp_path / "spill" / "0000-retail.rows"
    left.parent.mkdir()
    left.write_bytes(b"of another run")
    partitions(tmp_path / "spill", 1_000, 100)
    assert not left.exists()


def test_many_partitions_of_few_rows_cost_no_row(tmp_path: Path) -> None:
    """Manifests may announce far more rows than come."""
    parts = partitions(tmp_path / "spill", 10_000, 100)
    parts.add(block(Service.LOAD, [0, 2**63, 2**64 - 1], 0))
    found = [txn for n in range(parts.count) for rows in parts.read(n).values() for txn in rows["txn_id"].tolist()]
    assert found == [0, 1, 2]
