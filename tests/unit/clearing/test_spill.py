"""Between the passes: rows come back once, whole cards together in order of arrival, bills with their payments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.direct import BLOCK
from card_io.records import BILL_FIELDS, Columns, Service
from clearing import spill
from clearing.decide import Contest
from clearing.packing import pack_all
from clearing.records import Rows, empty_bills
from clearing.replay import COMPETITOR_COLUMNS, Competitors
from clearing.spill import Partitions, Shelf

cards = st.lists(st.integers(0, 2**64 - 1), max_size=30)


def block(listed: list[int], first: int) -> Columns:
    """Columns that say who they are: ``position`` counts up."""
    return {
        "card_id": np.array(listed, np.uint64),
        "position": np.arange(first, first + len(listed), dtype=np.int64),
    }


def add(parts: Partitions, columns: Columns) -> None:
    """Add the block as a batch does: positions count within it until it is taken."""
    order, first = parts.order(columns["card_id"]), int(columns["position"][:1].sum())
    local = {**columns, "position": columns["position"] - first}
    parts.add(parts.parted({name: column[order] for name, column in local.items()}).after(first))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions of 100 rows, scattered when 40 are gathered."""
    monkeypatch.setattr(spill, "IN_MEMORY_ROWS", 100)
    monkeypatch.setattr(spill, "PARTITION_ROWS", 100)
    monkeypatch.setattr(spill, "SCATTERED_ROWS", 40)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("rows", "count"),
    [(0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (201, 4), (400, 4), (401, 8), (100_000, 1024), (2**62, 1024)],
)
def test_the_number_of_partitions(tmp_path: Path, rows: int, count: int) -> None:
    assert Partitions(tmp_path / "spill", rows).count == count


def test_a_small_day_spills_nothing(tmp_path: Path) -> None:
    parts = Partitions(tmp_path / "spill", 3)
    add(parts, block([1, 2], 0))
    add(parts, block([3], 2))
    parts.finish()
    shelved = Shelf(tmp_path / "spill" / "shelf", 3).put(Rows(Service.RETAIL, block([1], 0), empty_bills()))
    assert not (tmp_path / "spill").exists()
    found = parts.read(0)
    assert found is not None
    assert found["position"].tolist() == [0, 1, 2]
    assert len(shelved.take()) == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(cards, max_size=6), st.integers(1, 60), st.sampled_from(("small", "fits", "spilled")))
def test_every_row_comes_back_once(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[int]], aimed_at: int, waits: str
) -> None:
    sent = [block(listed, sum(len(b) for b in blocks[:i])) for i, listed in enumerate(blocks)]
    rows = sum(len(b) for b in blocks)
    folder = tmp_path_factory.mktemp("spill") / "spill"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "ONE_PARTITION_ROWS", aimed_at)
        patch.setattr(spill, "IN_MEMORY_ROWS", 1_000 if waits == "small" else aimed_at)
        patch.setattr(spill, "PARTITION_ROWS", aimed_at)
        patch.setattr(spill, "SCATTERED_ROWS", aimed_at // 2 + 1)
        parts = Partitions(folder, rows, room=rows * 100 if waits == "fits" else 0)
        for each in sent:
            add(parts, each)
        parts.finish()
        assert folder.exists() == (waits == "spilled" and rows > aimed_at)
        home: dict[int, int] = {}
        found: list[int] = []
        for number in range(parts.count):
            columns = parts.read(number)
            if columns is None:
                continue
            for card in columns["card_id"].tolist():
                assert home.setdefault(card, number) == number, "all rows of a card meet in one partition"
            positions = columns["position"].tolist()
            assert positions == sorted(positions), "in the order of arrival"
            found += positions
    assert list(dict.fromkeys(home.values())) == sorted(set(home.values()))
    assert [number for _, number in sorted(home.items())] == sorted(home.values()), "cards ascend with partitions"
    assert sorted(found) == list(range(rows))
    parts.close()
    assert not folder.exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("announced", "room"), [(10, 0), (1_000, 0), (1_000, 1 << 20)])
@pytest.mark.parametrize("service", [Service.RETAIL, Service.UTILITY])
@pytest.mark.parametrize("listed", [[7, 8, 9], [7, 2**64 - 1, 7], [7, 7, 7]], ids=["near", "wide", "equal"])
def test_what_is_shelved_comes_back_whole(
    tmp_path: Path, announced: int, room: int, service: Service, listed: list[int]
) -> None:
    rows = Rows(service, block(listed, 5), empty_bills())
    if listed == [7, 7, 7]:
        rows.columns["position"][:] = 5
    if service is Service.UTILITY:
        bills = {f.name: np.arange(4).astype(f.dtype) for f in BILL_FIELDS}
        rows.bills.update(bills, bill_row=np.array([0, 0, 2, 2]), bill_paid=np.zeros(4, np.uint8))
    place = tmp_path / "spill" / "shelf"
    shelf = Shelf(place, announced, room)
    shelved = shelf.put(rows)
    assert (shelved.service, shelved.count) == (service, 3)
    # Equal columns take no room at all.
    assert place.exists() == (announced > 100 and room == 0 and listed != [7, 7, 7])
    back = shelved.take()
    for name, column in rows.columns.items():
        assert back[name].dtype == column.dtype
        assert np.array_equal(back[name], column)
    for name, column in rows.bills.items():
        assert np.array_equal(back.bills[name], column)
    shelf.close()
    assert not place.exists()


@pytest.mark.usefixtures("small")
def test_the_shelf_turns_to_the_disk_when_its_memory_is_full(tmp_path: Path) -> None:
    sent = [Rows(Service.RETAIL, block([7, 2**64 - 1 - n], 2 * n), empty_bills()) for n in range(4)]
    size = sum(column.nbytes for column in pack_all(sent[0].columns)[0].values())
    assert size < BLOCK, "a block of rows takes a block of the file"
    place = tmp_path / "shelf"
    shelf, shelved = Shelf(place, 1_000, 2 * size), []
    for rows, spilled in zip(sent, (False, False, True, True), strict=True):
        shelved.append(shelf.put(rows))
        assert place.exists() == spilled
    for rows, each in zip(sent, shelved, strict=True):
        assert each.take()["position"].tolist() == rows["position"].tolist()
    assert place.stat().st_size == 2 * BLOCK


@pytest.mark.parametrize(
    ("rows", "rooms"),
    [
        (0, (0, 0, 1_000)),
        (9, (720, 180, 100)),
        (10, (800, 200, 0)),
        (11, (880, 0, 120)),
        (13, (0, 260, 740)),
        (50, (0, 1_000, 0)),
        (51, (0, 0, 1_000)),
        (10**8, (0, 0, 1_000)),
    ],
)
def test_what_comes_back_in_another_order_has_the_memory_first_and_whole(
    rows: int, rooms: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "IN_MEMORY_BYTES", 1_000)
    monkeypatch.setattr(spill, "COMPARED_BYTES", 80)
    monkeypatch.setattr(spill, "JOURNEY_BYTES", 20)
    assert spill.rooms_for(rows) == rooms


def test_what_is_compared_takes_no_more_than_is_reckoned_with(tmp_path: Path) -> None:
    """The dearest rows: loads that pick up benefits, every key a hash, from many files."""
    rows = 1 << 16
    rng = np.random.default_rng(1)
    hashes = ("card_id", "identity_lo", "identity_hi", "variant", "content", "counter_key", "service_key")
    columns: Columns = {name: rng.integers(1, 2**64, rows, dtype=np.uint64) for name in hashes}
    columns |= {
        "txn_id": (np.arange(rows) // 1_000 << 32) + np.arange(rows) % 1_000,
        "received_window": np.full(rows, 5, np.int32),
        "card_counter": rng.integers(0, 1 << 16, rows),
        "txn_time": rng.integers(10**9, 10**9 + 86_400, rows),
        "multiplicity": np.ones(rows, np.uint8),
        "stood": np.zeros(rows, np.int16),
    }
    load, position = np.arange(rows) % 2 == 0, np.arange(rows)
    contest = Contest(Competitors(*(columns[name] for name in COMPETITOR_COLUMNS)), load, position)
    parted = Partitions(tmp_path / "spill", rows).parted(contest.columns())
    assert parted.nbytes <= rows * spill.COMPARED_BYTES


@pytest.mark.usefixtures("small")
def test_what_outgrows_its_memory_goes_to_disk_whole(tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    parts = Partitions(folder, 200, room=300)
    listed = [[n, 2**64 - 1 - n] * 10 for n in range(6)]
    for number, cards in enumerate(listed):
        add(parts, block(cards, 20 * number))
        assert folder.exists() == (number >= 1), number
    parts.finish()
    found = [parts.read(number) for number in range(parts.count)]
    positions = sorted(p for columns in found if columns is not None for p in columns["position"].tolist())
    assert positions == list(range(120))
    parts.close()


@pytest.mark.usefixtures("small")
def test_what_a_crash_left_is_forgotten(tmp_path: Path) -> None:
    partition, shelf = tmp_path / "cards" / "0000.partition", tmp_path / "shelf"
    partition.parent.mkdir()
    for left in (partition, shelf):
        left.write_bytes(b"of another run")
    Partitions(partition.parent, 1_000)
    Shelf(shelf, 1_000)
    assert not partition.exists()
    assert not shelf.exists()


@pytest.mark.usefixtures("small")
def test_many_partitions_of_few_rows_cost_no_row(tmp_path: Path) -> None:
    """Manifests may announce far more rows than come."""
    parts = Partitions(tmp_path / "spill", 10_000)
    add(parts, block([0, 2**63, 2**64 - 1], 0))
    parts.finish()
    found = [columns["position"].tolist() for n in range(parts.count) if (columns := parts.read(n)) is not None]
    assert found == [[0], [1], [2]]
