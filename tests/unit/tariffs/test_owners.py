"""Rows in the order of their owners, against plain sorting; threads and parts change nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tariffs
from tariffs import (
    MedicalLedger,
    MedicalVisits,
    UtilityState,
    UtilityUsages,
    kernels,
    load_tariff,
    price_utility,
    settle_visits,
)
from tariffs.owner_order import OwnerRuns, order_rows
from tariffs.owners import group_rows

LIBRARY = Path(tariffs.__file__).parent / "library"
DAY = (date(2026, 1, 1) - date(1970, 1, 1)).days
ANY = st.integers(-(2**63), 2**63 - 1)
FEW = st.integers(-3, 3)


@settings(deadline=None)
@given(st.lists(st.tuples(FEW | ANY, FEW | ANY, FEW | ANY), min_size=1, max_size=80), st.sampled_from([1, 2, 3]))
def test_order_equals_its_twin(rows: list[tuple[int, int, int]], threads: int) -> None:
    """Any numbers at all, equal ones included."""
    owner, period, sequence = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    order, new, twice = order_rows(owner, period, sequence, threads)
    assert [rows[row] for row in order] == sorted(rows)
    assert sorted(order.tolist()) == list(range(len(rows)))
    in_order = sorted(rows)
    assert new.tolist() == [i == 0 or r[:2] != in_order[i - 1][:2] for i, r in enumerate(in_order)]
    assert (twice >= 0) == (len(set(rows)) < len(rows))
    if twice >= 0:
        assert rows.count(rows[twice]) > 1


@pytest.mark.parametrize("spread", [40, 2**62])
@pytest.mark.parametrize("threads", [1, 2])
def test_many_rows_are_dealt_into_parts(spread: int, threads: int) -> None:
    """More rows than one part holds, owners close together and far apart, one with more rows than all others."""
    rng = np.random.default_rng(spread % 97)
    owner = rng.integers(-spread, spread, 60_000)
    owner[rng.random(len(owner)) < 0.3] = 7
    period, sequence = rng.integers(2_024, 2_027, len(owner)), rng.permutation(len(owner))
    order, new, twice = order_rows(owner, period, sequence, threads)
    expected = np.lexsort((sequence, period, owner))
    np.testing.assert_array_equal(order, expected)
    pairs = np.stack([owner, period])[:, expected]
    np.testing.assert_array_equal(new[1:], (np.diff(pairs) != 0).any(axis=0))
    assert new[0]
    assert twice == -1


@pytest.mark.parametrize(
    ("owners", "periods"),
    [
        ([0, 1, 2], [0, 2**40]),
        ([5, 6, 7, 2**40, -(2**62)], [2_024, 2_025]),
        (list(range(-(2**63), 2**63, 2**54)), [7]),
    ],
    ids=["keys alike in their high bits", "owners close together but for two", "owners as far apart as can be"],
)
def test_what_high_bits_do_not_tell_apart_is_in_order_all_the_same(owners: list[int], periods: list[int]) -> None:
    """More rows than are counted by digits, of few owners with many rows each and of many with few."""
    rng = np.random.default_rng(11)
    rows = 6_000
    owner, period = rng.choice(np.array(owners), rows), rng.choice(np.array(periods), rows)
    sequence = rng.permutation(rows)
    order, _, twice = order_rows(owner, period, sequence, 1)
    np.testing.assert_array_equal(order, np.lexsort((sequence, period, owner)))
    assert twice == -1


def test_a_part_with_more_rows_than_owners_are_counted_by() -> None:
    """Owners that cannot be dealt make one part of any length: its rows are told apart beyond the counted bits."""
    rng = np.random.default_rng(12)
    rows = 3 << kernels.OWNER_BITS_MAX - 2
    owner = rng.choice(np.array([-(2**62), 5, 6, 2**62]), rows)
    key = rng.permutation(rows)
    records = np.empty(rows, kernels.DEALT)
    records["owner"], records["key"], records["row"] = owner, key, np.arange(rows)
    runs = OwnerRuns.of(records, np.arange(rows, dtype=np.int32))
    expected = np.lexsort((key, owner))
    np.testing.assert_array_equal(runs.order, expected)
    np.testing.assert_array_equal(runs.records["row"], expected)
    np.testing.assert_array_equal(runs.keys, key[expected])
    np.testing.assert_array_equal(runs.owners, np.unique(owner))
    np.testing.assert_array_equal(np.diff(runs.begins), np.unique(owner, return_counts=True)[1])
    assert not runs.twice


@settings(deadline=None)
@given(st.lists(st.tuples(FEW, FEW), unique=True, max_size=20), st.lists(st.tuples(FEW, FEW), max_size=40), st.data())
def test_groups_equal_their_twin(
    state: list[tuple[int, int]], rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The union of the state's pairs and the rows', and which rows stand in which group; some rows left out."""
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), np.bool_)
    columns = [np.array([pair[k] for pair in part], np.int64) for part in (state, rows) for k in (0, 1)]
    sequence = np.arange(len(rows))[::-1].copy()
    groups = group_rows(*columns, sequence, chosen=chosen)
    moving = [pair for pair, kept in zip(rows, chosen, strict=True) if kept]
    pairs = sorted({*state, *moving})
    assert list(zip(groups.owner.tolist(), groups.year.tolist(), strict=True)) == pairs
    assert [pairs[group] for group in groups.of_state] == state
    assert [pairs[group] for group in groups.of_row[chosen]] == moving
    expected = sorted((pair, -row) for row, pair in enumerate(rows) if chosen[row])
    assert groups.order.tolist() == [-negative for _, negative in expected]


def test_a_state_holds_a_pair_once() -> None:
    twice = np.array([1, 1])
    with pytest.raises(ValueError, match="holds an \\(owner, year\\) twice"):
        group_rows(twice, twice, *(np.zeros(0, np.int64) for _ in range(3)))


def test_threads_change_no_bill() -> None:
    rng = np.random.default_rng(5)
    rows = 50_000
    usages = UtilityUsages.of(
        rows,
        account=rng.integers(0, 4_000, rows),
        sequence=rng.permutation(rows),
        period_day=DAY + rng.integers(0, 360, rows),
        usage_milli=rng.integers(-5, 90_000, rows),
        bill=rng.integers(0, 40, rows),
        customer_class=rng.integers(0, 5, rows),
        minute=rng.integers(0, 1_500, rows),
        demand_milli=rng.integers(0, 90_000, rows),
        meter_size=rng.integers(0, 5, rows),
    )
    for name in ("beijing.water", "demo.electricity_business"):
        compiled = load_tariff(LIBRARY / f"{name}.yaml").compiled[-1]
        one, after = price_utility(compiled, usages, UtilityState.zeros(0))
        two, other = price_utility(compiled, usages, UtilityState.zeros(0), threads=2)
        assert 0 < one.priced.sum() < rows
        for first, second in ((one, two), (after, other)):
            for column in first.SPECS:
                np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


def test_threads_change_no_settlement() -> None:
    rng = np.random.default_rng(6)
    rows = 40_000
    visits = MedicalVisits.of(
        rows,
        person=rng.integers(0, 3_000, rows),
        sequence=rng.permutation(rows),
        settle_day=DAY + rng.integers(0, 180, rows),
        insured=rng.choice([310, 390], rows),
        person_type=rng.choice([11, 12, 13], rows),
        level=rng.integers(1, 4, rows),
        category_a=rng.integers(-1, 90_000, rows),
        category_b=rng.integers(0, 90_000, rows),
        cancels=np.where(rng.random(rows) < 0.1, rng.integers(0, rows, rows), -1),
        account_available=rng.integers(0, 9_000, rows),
    )
    for cancelling in (True, False):
        some = visits if cancelling else visits.take(visits.cancels < 0)
        compiled = load_tariff(LIBRARY / "demo.employee.outpatient.yaml").compiled[0]
        runs = [settle_visits(compiled, some, MedicalLedger.empty(), threads=threads) for threads in (1, 2)]
        assert 0 < runs[0].settlements.priced.sum() < len(some)
        for part in ("settlements", "reviews"):
            first, second = (getattr(run, part) for run in runs)
            for column in first.SPECS:
                np.testing.assert_array_equal(getattr(first, column), getattr(second, column))
        for column in runs[0].ledger.years.SPECS:
            np.testing.assert_array_equal(
                getattr(runs[0].ledger.years, column), getattr(runs[1].ledger.years, column)
            )
