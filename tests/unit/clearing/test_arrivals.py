"""Which deliveries are prepared together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_io.delivery.inbox import Delivery
from card_io.delivery.manifest import Manifest
from clearing.arrivals import LOT_ROWS, Arrival, lots_of


def arrival(
    name: str = "a", *, rows: int = 5, received_at: int = 7, classes: bool = False, **changes: Any
) -> Arrival:
    given = {
        "format_version": 1, "sender": 500, "service": "retail", "file_date": "2026-03-02", "sequence": 1,
        "file": f"{name}.parquet", "format": "parquet", "rows": rows, "amount_fen": 0, "sha256": "0" * 64,
        "sent_at": "2026-03-02T20:00:00",
    } | changes  # fmt: skip
    sidecar = Path(f"{name}.parquet.classes.csv") if classes else None
    delivery = Delivery(Path(f"{name}.parquet"), Path(f"{name}.parquet.manifest.json"), sidecar)
    return Arrival(delivery, received_at, Manifest(**given))


FIRST = arrival()
UNREADABLE = Arrival(FIRST.delivery, FIRST.received_at, None)

APART: dict[str, Arrival] = {
    "of another sender": arrival(sender=501),
    "of another service": arrival(service="transit"),
    "in another format": arrival(format="profile"),
    "received later": arrival(received_at=8),
    "with a sidecar of its own": arrival(classes=True),
    "with a manifest that cannot be read": UNREADABLE,
    "too large to go with another": arrival(rows=LOT_ROWS - 4),
    "announcing more than there can be": arrival(rows=2**62),
}


@pytest.mark.parametrize("other", APART.values(), ids=APART.keys())
def test_a_delivery_goes_alone(other: Arrival) -> None:
    assert list(lots_of([FIRST, other])) == [[FIRST], [other]]
    assert list(lots_of([other, FIRST])) == [[other], [FIRST]]


@pytest.mark.parametrize(
    "changes",
    [{}, {"sequence": 2, "file_date": "2026-03-01"}, {"amount_fen": None}, {"rows": LOT_ROWS - 5}, {"rows": 0}],
)
def test_neighbours_go_together(changes: dict[str, Any]) -> None:
    other = arrival("b", **changes)
    assert list(lots_of([FIRST, other])) == [[FIRST, other]]


def test_two_that_cannot_be_read_or_have_sidecars_go_alone() -> None:
    for each in (UNREADABLE, arrival(classes=True)):
        assert list(lots_of([each, each])) == [[each], [each]]


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, LOT_ROWS * 2)), max_size=20))
def test_every_delivery_is_in_one_lot_and_the_order_stays(deliveries: list[tuple[int, int]]) -> None:
    arrivals = [arrival(str(n), sender=sender, rows=rows) for n, (sender, rows) in enumerate(deliveries)]
    lots = list(lots_of(arrivals))
    assert [each for lot in lots for each in lot] == arrivals
    assert all(len(lot) == 1 or sum(each.rows for each in lot) <= LOT_ROWS for lot in lots)
