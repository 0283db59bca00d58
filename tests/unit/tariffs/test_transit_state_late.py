"""Late, cancelled and forwarded journeys: whatever the order of arrival, the books end where a run from scratch does.

``CAMPAIGN_EVENTS`` sets the number of events of a campaign of 30 days (2,000 by default).
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_transit_state import FIRST, LAST, START, assert_same, random_journeys, random_tariffs

import tariffs
from tariffs import NULL, Tariff, TransitJourneys, TransitPrices, TransitState, load_tariff, price_journeys
from tariffs.schema import Late
from tariffs.transit.late import NEVER, Posting, compare, reprice, standing

LIBRARY = Path(tariffs.__file__).parent / "library"
EVENTS = int(os.environ.get("CAMPAIGN_EVENTS", "2000"))
EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "40"))
DAYS = 30
AMOUNTS = ("gross", "card_pays", "fund_pays", "operator_bears")
FIRST_DAY = (date(2026, 3, 1) - date(1970, 1, 1)).days


def with_late(tariff: Tariff, policy: str, grace: int = 1) -> Tariff:
    """The same tariff under another late policy."""
    fields = {name: getattr(tariff, name) for name in tariff.__dataclass_fields__}
    return Tariff(**(fields | {"late": Late(grace_days=grace, after_grace=policy)}))  # type: ignore[arg-type]


class Campaign:
    """Events of a month with the days on which they, and the cancellations of some, were received."""

    def __init__(self, seed: int, events: int, share: float) -> None:
        rng = np.random.default_rng(seed)
        # Ten events before the month belong to the opening snapshot: they are never late.
        time = np.sort(rng.integers(0, DAYS * 86_400, events)) + FIRST_DAY * 86_400
        day = time // 86_400
        late, cancelled = rng.random(events) < share, rng.random(events) < share
        self.received = (day + np.where(late, rng.integers(0, 12, events), 0)).astype(np.int32)
        self.cancelled = np.where(cancelled, self.received + rng.integers(0, 12, events), NEVER).astype(np.int32)
        self.event = rng.permutation(events)
        self.journeys = TransitJourneys.of(
            events,
            entry_time=time,
            exit_time=time + rng.integers(300, 3_000, events),
            card=rng.integers(0, max(events // 60, 1), events),
            mode=rng.integers(0, 3, events),
            line=rng.integers(1, 4, events),
            distance_m=rng.integers(0, 40_000, events),
            gross_fare=rng.choice([200, 400, 750], events),
            sequence=rng.permutation(events),
        )

    def known_on(self, day: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows received up to the end of ``day``, and the cancellations known by then."""
        known = np.flatnonzero(self.received <= day)
        return known, np.where(self.cancelled <= day, self.cancelled, NEVER).astype(np.int32)

    def from_scratch(self, tariff: Tariff, opening: TransitState) -> Posting:
        """One run over everything, given the same days of arrival."""
        stand = standing(tariff, self.journeys, self.received, self.cancelled)
        prices, _ = price_journeys(tariff, stand.counted(self.journeys), opening)
        pays = stand.pays[stand.counts]
        return Posting(self.event[stand.counts][pays], prices.take(pays))

    def day_by_day(self, tariff: Tariff, opening: TransitState) -> tuple[Posting, dict[str, int], int]:
        """Each day only the touched cards; what stands at the end, the sum of all rows posted, and their number."""
        books = Posting(np.empty(0, np.int64), TransitPrices.zeros(0))
        sums, rows = dict.fromkeys(AMOUNTS, 0), 0
        card_of = np.empty(len(self.event), np.int64)
        card_of[self.event] = self.journeys.card
        for day in range(FIRST_DAY, FIRST_DAY + DAYS + 25):
            known, cancelled = self.known_on(day)
            moved = (self.received[known] == day) | (self.cancelled[known] == day)
            touched = np.unique(self.journeys.card[known[moved]])
            if not len(touched):
                continue
            mine = known[np.isin(self.journeys.card[known], touched)]
            journeys = self.journeys.take(mine)
            stand = standing(tariff, journeys, self.received[mine], cancelled[mine])
            in_books = np.isin(card_of[books.event], touched)
            old = Posting(books.event[in_books], books.prices.take(in_books))
            again = reprice(
                tariff,
                opening.of_cards(touched),
                old,
                self.event[mine][stand.counts],
                stand.counted(journeys),
                stand.pays[stand.counts],
            )
            for name in AMOUNTS:
                sums[name] += int(getattr(again.differences, name).sum())
            rows += len(again.differences)
            books = Posting(
                np.concatenate([books.event[~in_books], again.posting.event]),
                TransitPrices.concatenate([books.prices.take(~in_books), again.posting.prices]),
            )
        return books, sums, rows


def opening_state(tariff: Tariff, campaign: Campaign) -> TransitState:
    """Every card has travelled on the last day of the month before."""
    cards = np.unique(campaign.journeys.card)
    before = TransitJourneys.of(
        len(cards), card=cards, entry_time=FIRST_DAY * 86_400 - 40_000, distance_m=8_000, gross_fare=300, mode=1
    )
    return price_journeys(tariff, before)[1]


def assert_equal_books(first: Posting, second: Posting) -> None:
    by_first, by_second = np.argsort(first.event), np.argsort(second.event)
    np.testing.assert_array_equal(first.event[by_first], second.event[by_second])
    assert_same(first.prices.take(by_first), second.prices.take(by_second))


def monthly(name: str) -> Tariff:
    """Library tariffs, published for the days of the campaign."""
    return load_tariff(LIBRARY / f"{name}.yaml")


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("policy", ["reprice", "forward", "reject"])
def test_a_month_of_late_and_cancelled_events(policy: str, share: float) -> None:
    tariff = with_late(monthly("beijing.subway_card"), policy)
    campaign = Campaign(seed=round(share * 1000), events=EVENTS, share=share)
    opening = opening_state(tariff, campaign)
    books, sums, rows = campaign.day_by_day(tariff, opening)
    assert_equal_books(books, campaign.from_scratch(tariff, opening))
    assert sums == {name: int(getattr(books.prices, name).sum()) for name in AMOUNTS}
    assert rows >= len(books.event)
    if policy != "reprice":
        return
    # Under reprice the days of arrival do not matter: the journeys that stand, priced at once.
    stands = campaign.cancelled == NEVER
    prices, _ = price_journeys(tariff, campaign.journeys.take(stands), opening)
    assert_equal_books(books, Posting(campaign.event[stands], prices))


@settings(deadline=None, max_examples=EXAMPLES // 3)
@given(random_tariffs(), st.sampled_from(["reprice", "forward", "reject"]), st.integers(0, 4), st.integers(0, 2**32))
def test_any_tariff_and_policy_end_where_a_run_from_scratch_does(
    tariff: Tariff, policy: str, grace: int, seed: int
) -> None:
    late = with_late(tariff, policy, grace)
    campaign = Campaign(seed, 120, 0.3)
    # The tariffs under test end in the middle of the month; rows beyond are not priced, which must hold as well.
    shift = (FIRST_DAY - START // 86_400) * 86_400
    moved = {name: getattr(campaign.journeys, name) for name in campaign.journeys.SPECS}
    moved |= {"entry_time": moved["entry_time"] - shift, "exit_time": moved["exit_time"] - shift}
    campaign.journeys = TransitJourneys(**moved)
    campaign.received -= shift // 86_400
    campaign.cancelled = np.where(campaign.cancelled == NEVER, NEVER, campaign.cancelled - shift // 86_400).astype(
        np.int32
    )
    opening = TransitState.zeros(0)
    days = range(START // 86_400, START // 86_400 + DAYS + 25)
    books = Posting(np.empty(0, np.int64), TransitPrices.zeros(0))
    for day in days:
        known, cancelled = campaign.known_on(day)
        stand = standing(late, campaign.journeys.take(known), campaign.received[known], cancelled[known])
        counted = stand.counted(campaign.journeys.take(known))
        again = reprice(late, opening, books, campaign.event[known][stand.counts], counted, stand.pays[stand.counts])
        change = sum(int(getattr(again.differences, name).sum()) for name in AMOUNTS)
        worth = [sum(int(getattr(p.prices, name).sum()) for name in AMOUNTS) for p in (books, again.posting)]
        assert change == worth[1] - worth[0]
        books = again.posting
    assert_equal_books(books, campaign.from_scratch(late, opening))


@settings(deadline=None, max_examples=EXAMPLES)
@given(random_tariffs(), st.integers(0, 2**32), st.integers(0, 79))
def test_cancelled_and_sent_again_is_as_if_never_touched(tariff: Tariff, seed: int, row: int) -> None:
    journeys = random_journeys(seed, 80, cards=2)
    event = np.arange(80)
    opening = TransitState.zeros(0)
    first = reprice(tariff, opening, Posting(np.empty(0, np.int64), TransitPrices.zeros(0)), event, journeys)
    assert len(first.differences) == first.posting.prices.priced.sum()

    without = np.delete(event, row)
    cancelled = reprice(tariff, opening, first.posting, without, journeys.take(without))
    again = reprice(tariff, opening, cancelled.posting, event, journeys)
    assert_equal_books(first.posting, again.posting)
    assert_same(first.state, again.state)
    for name in AMOUNTS:
        moved = [getattr(step.differences, name).sum() for step in (cancelled, again)]
        assert sum(moved) == 0
    assert len(compare(first.posting, again.posting)) == 0


def test_difference_rows_reverse_and_post_in_full() -> None:
    """A ride that appears before the capping ride moves the remainder to the ride after it."""
    tariff = monthly("newyork.omny")
    noon = (date(2023, 9, 6) - date(1970, 1, 1)).days * 86_400 + 43_200
    times = noon + np.arange(12) * 40_000
    journeys = TransitJourneys.of(12, card=1, line=1, entry_time=times)
    event = np.arange(100, 112)
    late = np.arange(12) != 3
    nothing = Posting(np.empty(0, np.int64), TransitPrices.zeros(0))
    first = reprice(tariff, TransitState.zeros(0), nothing, event[late], journeys.take(late))
    again = reprice(tariff, TransitState.zeros(0), first.posting, event, journeys)
    rows = list(
        zip(*(getattr(again.differences, n).tolist() for n in ("event", "reversal", "card_pays")), strict=True)
    )
    assert rows == [(103, 0, 290), (111, 1, -290), (111, 0, 210)]


def test_a_new_tariff_for_old_days_is_the_same_operation(tmp_path: Path) -> None:
    text = (LIBRARY / "newyork.omny.yaml").read_text("utf-8").split("tests:")[0]
    file = tmp_path / "cheaper.yaml"
    expect = "tests:\n  - {name: loads, date: 2023-09-06, rows: [{line: 1}], expect: [{gross: 250}]}\n"
    file.write_text(text.replace("2023-08-20: 290", "2023-08-20: 250") + expect)
    noon = (date(2023, 9, 6) - date(1970, 1, 1)).days * 86_400 + 43_200
    journeys = TransitJourneys.of(3, card=[1, 1, 2], line=1, entry_time=noon + np.arange(3) * 40_000)
    nothing = Posting(np.empty(0, np.int64), TransitPrices.zeros(0))
    old = reprice(monthly("newyork.omny"), TransitState.zeros(0), nothing, np.arange(3), journeys)
    new = reprice(load_tariff(file), TransitState.zeros(0), old.posting, np.arange(3), journeys)
    assert new.differences.card_pays.tolist() == [-290, 250] * 3


def test_what_the_policies_do_with_one_late_row_and_one_late_cancellation() -> None:
    tariff = monthly("beijing.subway_card")
    day = FIRST_DAY + 3
    journeys = TransitJourneys.of(4, card=1, entry_time=day * 86_400 + 30_000, distance_m=1_000)
    received = np.array([day, day + 1, day + 2, day], np.int32)
    cancelled = np.array([NEVER, NEVER, NEVER, day + 2], np.int32)
    found: dict[str, Any] = {}
    for policy in ("reprice", "forward", "reject"):
        stand = standing(with_late(tariff, policy), journeys, received, cancelled)
        found[policy] = (stand.counts.tolist(), stand.pays.tolist(), (stand.counted_at != NULL).tolist())
    yes, no = True, False
    assert found["reprice"] == ([yes, yes, yes, no], [yes, yes, yes, no], [no] * 4)
    assert found["forward"] == ([yes] * 4, [yes, yes, yes, no], [no, no, yes, no])
    assert found["reject"] == ([yes, yes, no, yes], [yes, yes, no, yes], [no] * 4)


def test_postings_are_checked() -> None:
    with pytest.raises(ValueError, match="an event stands twice"):
        Posting(np.array([1, 1]), TransitPrices.zeros(2))
    with pytest.raises(ValueError, match="1 events for 2 prices"):
        Posting(np.array([1]), TransitPrices.zeros(2))
    assert FIRST < LAST
