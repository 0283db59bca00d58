"""Journeys of a tariff that remembers, in any batches: prices and memory are those of one pricing from scratch."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card_io.records import NULL
from clearing.config import load_settings
from clearing.initialise import initialise_centre
from clearing.journeys import JOURNEY_COLUMNS, Journeys, Known, Outcome, price_owners, told
from clearing.pricing import MEMORY_COLUMNS, PRICE_COLUMNS, Memory, PriceBook
from tariffs import TariffBook, load_tariff

ID = "demo.bus_transfer"
DAY = 20_514
NONE = np.empty(0, np.int64)
POLICIES = (("reprice", 0), ("forward", 0), ("forward", 1), ("reject", 0))


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> list[PriceBook]:
    """The demo tariff under each late policy."""
    folder = tmp_path_factory.mktemp("books") / "centre"
    initialise_centre(folder, simulated=True, passphrase="books", scrypt_n=2)
    with resources.as_file(resources.files("tariffs") / "library" / f"{ID}.yaml") as path:
        tariff = load_tariff(Path(path))
    made = []
    for after_grace, grace_days in POLICIES:
        late = tariff.late.model_copy(update={"after_grace": after_grace, "grace_days": grace_days})
        made.append(PriceBook(TariffBook({ID: replace(tariff, late=late)}), load_settings(folder)))
    return made


TAP = st.tuples(
    st.integers(0, 2),  # owner
    st.integers(0, 2 * 24),  # half hours after the first day's morning
    st.integers(0, 3),  # windows until it is received
    st.integers(1, 2),  # line
    st.sampled_from([0, 0, 0, 1, 2]),  # class
    st.integers(0, 3),  # run of its window
)


def journeys_of(taps: list[tuple[int, ...]]) -> Journeys:
    """One journey per tap; the same owner's card taps at distinct counters."""
    n = len(taps)
    owner, half_hours, late, line, card_class, _ = (np.array(column, np.int64) for column in zip(*taps, strict=True))
    time = DAY * 86_400 + 8 * 3600 + half_hours * 1800
    columns: dict[str, Any] = {name: np.full(n, NULL, np.int64) for name in JOURNEY_COLUMNS}
    columns |= {name: np.zeros(n, np.uint8) for name in ("transfer_flag", "incomplete")}
    columns |= {
        "txn_id": np.arange(n) + 1,
        "owner": owner.astype(np.uint64),
        "card_id": owner.astype(np.uint64),
        "content_lo": np.arange(n).astype(np.uint64),
        "card_counter": np.arange(n),
        "terminal_id": np.ones(n, np.uint64),
        "terminal_counter": np.arange(n),
        "received_window": ((time - 3 * 3600) // 86_400 + late).astype(np.int32),
        "amount": np.full(n, 150),
        "mode": np.full(n, 2, np.uint8),
        "line": line,
        "txn_time": time,
        "register_class": card_class.astype(np.uint8),
        "card_class": card_class.astype(np.uint8),
        "merchant_id": np.full(n, 221, np.uint32),
    }
    return Journeys(columns)


class Ledger:
    """What a centre would keep between batches, in memory."""

    def __init__(self, book: PriceBook) -> None:
        self.book, self.memory = book, Memory.zeros(0)
        self.counted: list[Journeys] = []
        self.newest: dict[int, tuple[int, ...]] = {}

    def batch(self, journeys: Journeys, gone: np.ndarray | None = None) -> None:
        windows = np.unique(journeys["received_window"]).tolist()
        left = NONE if gone is None else gone
        touched = np.unique(self._all().owner[np.isin(self._all()["txn_id"], left)]) if len(left) else NONE
        known = Known(self.memory, self._earlier, left, None, touched)
        outcome = price_owners(self.book, ID, journeys, known, windows)
        self.memory = outcome.memory
        self.counted = [self._all().take(~np.isin(self._all()["txn_id"], left))] if self.counted else []
        self.counted.append(journeys)
        self._note(outcome)

    def _note(self, outcome: Outcome) -> None:
        for priced in (*outcome.first, *(change.priced for change in outcome.changes)):
            rows = zip(*(priced.prices[name].tolist() for name in PRICE_COLUMNS), strict=True)
            self.newest.update(zip(priced.txn_id.tolist(), rows, strict=True))

    def _all(self) -> Journeys:
        return Journeys.joined(self.counted)

    def _earlier(self, owners: np.ndarray) -> Journeys | None:
        return self._all().take(np.isin(self._all().owner, owners)) if self.counted else None

    def held(self) -> list[tuple[int, ...]]:
        """The memory, but for the clocks' sequence, which orders within one pricing only."""
        rows = zip(*(getattr(self.memory, name).tolist() for name in MEMORY_COLUMNS), strict=True)
        return sorted(row if row[1] else (*row[:3], 0, *row[4:]) for row in rows)


@settings(max_examples=150, deadline=None)
@given(st.lists(TAP, min_size=1, max_size=14), st.sampled_from(range(len(POLICIES))))
def test_batches_end_like_one_batch(books: list[PriceBook], taps: list[tuple[int, ...]], policy: int) -> None:
    """Window after window, some windows in several runs, against all windows in one run."""
    book, journeys = books[policy], journeys_of(taps)
    at_once, in_runs = Ledger(book), Ledger(book)
    at_once.batch(journeys)
    run = np.array([tap[5] for tap in taps])
    order = sorted({(int(w), int(r)) for w, r in zip(journeys["received_window"], run, strict=True)})
    for window, number in order:
        in_runs.batch(journeys.take((journeys["received_window"] == window) & (run == number)))
    assert in_runs.newest == at_once.newest
    assert in_runs.held() == at_once.held()


@settings(max_examples=60, deadline=None)
@given(st.lists(TAP, min_size=2, max_size=10), st.sampled_from(range(len(POLICIES))), st.data())
def test_a_journey_that_goes_is_as_if_never_sent(
    books: list[PriceBook], taps: list[tuple[int, ...]], policy: int, data: st.DataObject
) -> None:
    journeys = journeys_of([(*tap[:2], 0, *tap[3:]) for tap in taps])
    gone = data.draw(st.integers(1, len(taps) - 1), label="gone")
    window = journeys["received_window"].copy()
    window[:] = window.max()
    journeys = Journeys({**journeys.columns, "received_window": window})
    never, sent = Ledger(books[policy]), Ledger(books[policy])
    never.batch(journeys.take(journeys["txn_id"] != gone))
    last = journeys["txn_id"] == len(taps)
    sent.batch(journeys.take(~last))
    sent.batch(journeys.take(last), gone=np.array([gone]))
    del sent.newest[gone]
    assert sent.newest == never.newest
    assert sent.held() == never.held()


def test_what_is_told_of_a_journey_is_what_was_decided(books: list[PriceBook]) -> None:
    journeys = journeys_of([(0, 0, 0, 1, 0, 0), (0, 1, 0, 2, 0, 0), (0, 2, 0, 1, 0, 0), (0, 30, 0, 1, 0, 0)])
    ledger = Ledger(books[0])
    ledger.batch(journeys)
    asked = [told(books[0], ID, journeys, number) for number in (1, 2, 3, 4)]
    assert [each.card_pays for each in asked] == [200, 100, 100, 0]
    assert [each.journeys_before for each in asked] == [0, 1, 2, 3]
    for number, each in enumerate(asked, 1):
        assert tuple(int(each.prices[name][0]) for name in PRICE_COLUMNS) == ledger.newest[number]
