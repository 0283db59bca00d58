"""Column-wise replay decisions against the rules word for word, on small random groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import replay_reference as reference
from reference.replay_reference import Record

from card_io.records import NULL
from clearing.history import CardStates, by_card
from clearing.replay import Competitors, decide, join


@st.composite
def groups(draw: st.DrawFn, multiplicity: int = 1) -> list[Record]:
    """Up to nine rows that share few identities, variants, keys and windows, so that they meet."""
    small = st.integers(0, 2)
    records = []
    for number in range(draw(st.integers(1, 9))):
        identity, variant, other = draw(small), draw(small), draw(small) if multiplicity == 1 else 0
        counter, benefit = draw(st.none() | small), draw(st.none() | small)
        keys = {("counter", counter)} if counter is not None else set()
        records.append(
            Record(
                txn_id=(draw(st.integers(1, 3)) << 32) + number,
                window=draw(small),
                identity=identity,
                variant=variant,
                # Equal content means equal columns: what differs outside the money is ``other`` and the counter.
                content=((identity * 3 + variant) * 3 + other) * 4 + (0 if counter is None else counter + 1),
                counter=counter,
                keys=frozenset(keys | ({("service", benefit)} if benefit is not None else set())),
                multiplicity=multiplicity,
            )
        )
    return records


def competitors(records: list[Record]) -> Competitors:
    def column(values: list[int], dtype: str) -> np.ndarray:
        return np.array(values, dtype)

    keys = [dict(record.keys) for record in records]
    n = len(records)
    return Competitors(
        txn_id=column([r.txn_id for r in records], "int64"),
        card_id=column([7] * n, "uint64"),
        identity_lo=column([r.identity % 2 + 5 for r in records], "uint64"),
        identity_hi=column([r.identity // 2 + 5 for r in records], "uint64"),
        variant=column([r.variant + 5 for r in records], "uint64"),
        content=column([r.content + 5 for r in records], "uint64"),
        counter_key=column([k["counter"] + 5 if "counter" in k else 0 for k in keys], "uint64"),
        service_key=column([k["service"] + 5 if "service" in k else 0 for k in keys], "uint64"),
        received_window=column([r.window for r in records], "int32"),
        card_counter=column([NULL if r.counter is None else r.counter for r in records], "int64"),
        txn_time=column([0] * n, "int64"),
        multiplicity=column([r.multiplicity for r in records], "uint8"),
        stood=column([0] * n, "int16"),
    )


def decided(rows: Competitors) -> dict[int, tuple[int, int]]:
    found = decide(rows)
    pairs = zip(found.status.tolist(), found.linked_txn_id.tolist(), strict=True)
    return dict(zip(rows.txn_id.tolist(), pairs, strict=True))


@settings(max_examples=400, deadline=None)
@given(groups())
def test_columns_decide_as_the_rules_say(records: list[Record]) -> None:
    assert decided(competitors(records)) == reference.decide(records)


@pytest.mark.parametrize("multiplicity", [2, 3])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_profile_lets_some_equal_rows_of_a_file_stand(multiplicity: int, data: st.DataObject) -> None:
    """Whole-row identities: content, variant and counter are one; a file is received in one window."""
    records = [
        Record(r.txn_id, r.file // 2, r.identity, 0, r.identity, None, frozenset(), multiplicity)
        for r in data.draw(groups(multiplicity))
    ]
    assert decided(competitors(records)) == reference.decide(records)


@settings(max_examples=100, deadline=None)
@given(groups(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(records: list[Record], random: object) -> None:
    rows = competitors(records)
    order = list(range(len(records)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert decided(rows.take(np.array(order))) == decided(rows)


@settings(max_examples=100, deadline=None)
@given(groups())
def test_a_later_window_never_changes_an_earlier_one(records: list[Record]) -> None:
    last = max(record.window for record in records)
    earlier = [record for record in records if record.window < last]
    after = decided(competitors(records))
    assert {r.txn_id: after[r.txn_id] for r in earlier} == (decided(competitors(earlier)) if earlier else {})


def test_joined_parts_keep_their_order() -> None:
    one = competitors([Record(1, 0, 0, 0, 0, 1, frozenset())])
    two = competitors([Record(2, 1, 1, 1, 1, None, frozenset())])
    both = join([one, two])
    assert both.txn_id.tolist() == [1, 2]
    assert len(both) == 2


@settings(max_examples=150, deadline=None)
@given(groups(), groups())
def test_what_is_surely_new_meets_nothing(known: list[Record], fresh: list[Record]) -> None:
    """Rows above every counter and time of their card need no look into history: it decides nothing for them."""
    known = [r for r in known if r.window < 2]
    shift = 1 << 40
    fresh = [Record(**{**vars(r), "txn_id": r.txn_id + shift, "window": 2}) for r in fresh]
    if not known:
        return
    # Identity covers the time of a purchase: rows of one identity have one time.
    before, rows = competitors(known), competitors(fresh)
    times = [np.array([r.identity * 10 for r in each], np.int64) for each in (known, fresh)]
    before, rows = (
        Competitors(**{**{n: getattr(c, n) for n in Competitors.__slots__}, "txn_time": t})
        for c, t in zip((before, rows), times, strict=True)
    )
    states = CardStates.empty().advanced(CardStates.of(before, np.zeros(len(before), bool), by_card(before)))
    new = states.surely_new(rows, np.zeros(len(rows), bool), by_card(rows))
    alone, together = decided(rows), decided(join([before, rows]))
    for record, surely in zip(fresh, new.tolist(), strict=True):
        if surely and alone[record.txn_id][0] == reference.STANDS:
            assert together[record.txn_id][0] == reference.STANDS
