"""Which deliveries are prepared together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import Manifest
from clearing.arrivals import LOT_BYTES, LOT_FILES, LOT_ROWS, Arrival, lots_of


def arrival(
    sequence: int = 1, *, rows: int = 5, received_at: int = 7, size: int = 900, classes: bool = False, **changes: Any
) -> Arrival:
    name = f"{sequence}.parquet"
    given = {
        "format_version": 1, "sender": 500, "service": "retail", "file_date": "2026-03-02", "sequence": sequence,
        "file": name, "format": "parquet", "rows": rows, "amount_fen": 0, "sha256": "0" * 64,
        "sent_at": "2026-03-02T20:00:00",
    } | changes  # fmt: skip
    sidecar = Path(f"{name}.classes.csv") if classes else None
    delivery = Delivery(Path(name), Path(f"{name}.manifest.json"), sidecar)
    return Arrival(delivery, received_at, size, Manifest(**given))


FIRST = arrival()
UNREADABLE = Arrival(FIRST.delivery, FIRST.received_at, FIRST.size, None)

APART: dict[str, Arrival] = {
    "of another sender": arrival(2, sender=501),
    "of another service": arrival(2, service="transit"),
    "in another format": arrival(2, format="profile"),
    "received later": arrival(2, received_at=8),
    "with a sidecar of its own": arrival(2, classes=True),
    "with a manifest that cannot be read": UNREADABLE,
    "too large to go with another": arrival(2, rows=LOT_ROWS - 4),
    "larger than it says": arrival(2, rows=0, size=LOT_BYTES),
    "announcing more than there can be": arrival(2, rows=2**62),
}


@pytest.mark.parametrize("other", APART.values(), ids=APART.keys())
def test_a_delivery_goes_alone(other: Arrival) -> None:
    assert list(lots_of([FIRST, other])) == [[FIRST], [other]]
    assert list(lots_of([other, FIRST])) == [[other], [FIRST]]
    assert list(lots_of([FIRST, other, FIRST])) == [[FIRST], [other], [FIRST]]


@pytest.mark.parametrize(
    "changes", [{}, {"file_date": "2026-03-01"}, {"amount_fen": None}, {"rows": LOT_ROWS - 5}, {"rows": 0}]
)
def test_neighbours_go_together(changes: dict[str, Any]) -> None:
    other = arrival(2, **changes)
    assert list(lots_of([FIRST, other])) == [[FIRST, other]]


def test_what_will_be_refused_costs_its_neighbours_nothing() -> None:
    """A known identity, or one that came before: a repetition or a clash, whatever its rows are."""
    again, second, third = arrival(1, sha256="1" * 64), arrival(2), arrival(3)
    assert list(lots_of([FIRST, again, second, third])) == [[FIRST], [again], [second, third]]
    known = {(500, "2026-03-02", 2)}
    assert list(lots_of([FIRST, second, third], known)) == [[FIRST], [second], [third]]


def test_two_that_cannot_be_read_or_have_sidecars_go_alone() -> None:
    for one, other in ((UNREADABLE, UNREADABLE), (arrival(1, classes=True), arrival(2, classes=True))):
        assert list(lots_of([one, other])) == [[one], [other]]


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, LOT_ROWS * 2), st.integers(0, LOT_BYTES)), max_size=20))
def test_every_delivery_is_in_one_lot_and_the_order_stays(deliveries: list[tuple[int, int, int]]) -> None:
    arrivals = [arrival(n, sender=who, rows=rows, size=size) for n, (who, rows, size) in enumerate(deliveries, 1)]
    lots = list(lots_of(arrivals))
    assert [each for lot in lots for each in lot] == arrivals
    for lot in lots:
        assert len(lot) == 1 or sum(each.rows for each in lot) <= LOT_ROWS
        assert len(lot) == 1 or sum(each.size for each in lot) <= LOT_BYTES


def test_a_lot_has_an_end_whatever_is_announced() -> None:
    arrivals = [arrival(n, rows=0, size=0) for n in range(1, 10 * LOT_FILES)]
    assert {len(lot) for lot in lots_of(arrivals)} == {LOT_FILES, LOT_FILES - 1}
