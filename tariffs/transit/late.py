"""Late, cancelled and corrected journeys: which of them count, and what changes for those already posted.

A correction, a completed journey or a retroactive tariff is the same thing as a late row: the touched cards are
priced again from a snapshot before the change, and only what differs is posted (old amounts reversed, new ones
written). Nothing posted is changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tariffs.columns import Bools, Bytes, Codes, Column, Columns, Days, Ints
from tariffs.tariff import Tariff
from tariffs.transit.columns import TransitJourneys, TransitPrices
from tariffs.transit.pricing import operating_day, price_journeys
from tariffs.transit.state import TransitState

NEVER = int(np.iinfo(np.int32).max)
"""Day of cancellation of a journey that was not cancelled."""


@dataclass(frozen=True)
class Standing:
    """What becomes of journeys by their late policy; all arrays as long as the journeys.

    ``counts``: accumulators count the row. ``pays``: its amounts stand; a row may count and yet be refunded.
    ``counted_at``: the column of that name for :class:`TransitJourneys`.
    """

    counts: Bools
    pays: Bools
    counted_at: Ints

    def counted(self, journeys: TransitJourneys) -> TransitJourneys:
        """The journeys that count, each at its time."""
        columns = {name: getattr(journeys, name) for name in journeys.SPECS}
        return TransitJourneys(**(columns | {"counted_at": self.counted_at})).take(self.counts)


def standing(tariff: Tariff, journeys: TransitJourneys, received_day: Days, cancelled_day: Days) -> Standing:
    """Apply ``tariff.late`` to journeys and cancellations by the days (since 1970) on which they were received.

    Within ``grace_days`` of its operating day a row counts at its own time, and a cancellation removes it as if
    it had never been sent. After the grace ``reprice`` does the same; ``forward`` counts the row at the start of
    the operating day on which it was received, and a cancellation gives back its own amount only; ``reject``
    drops the row, and ignores the cancellation. ``cancelled_day`` is :data:`NEVER` for journeys that stand. A
    pure function of its arguments: when it is asked does not matter.
    """
    last_in_time = operating_day(tariff, journeys) + tariff.late.grace_days
    sent_late = received_day > last_in_time
    cancelled = cancelled_day != NEVER
    cancelled_late = cancelled & (cancelled_day > last_in_time)
    counted_at = journeys.counted_at.copy()
    if tariff.late.after_grace == "reprice":
        return Standing(~cancelled, ~cancelled, counted_at)
    if tariff.late.after_grace == "reject":
        stands = ~sent_late & (~cancelled | cancelled_late)
        return Standing(stands, stands, counted_at)
    start = received_day.astype(np.int64) * 86_400 + tariff.clock.day_starts_s
    counted_at[sent_late] = start[sent_late]
    return Standing(~cancelled | cancelled_late, ~cancelled, counted_at)


@dataclass(frozen=True)
class Posting:
    """Prices by the number of their event; numbers are unique."""

    event: Ints
    prices: TransitPrices

    def __post_init__(self) -> None:
        """ValueError for an event that stands twice, or another number of events than prices."""
        if len(self.event) != len(self.prices):
            raise ValueError(f"{len(self.event)} events for {len(self.prices)} prices")
        if len(np.unique(self.event)) != len(self.event):
            raise ValueError("an event stands twice in a posting")


@dataclass(frozen=True, eq=False)
class PriceDifferences(Columns):
    """Rows to post: for each event that changed, its old amounts reversed (negative) and its new ones."""

    event: Annotated[Ints, Column(np.int64)]
    reversal: Annotated[Bytes, Column(np.uint8)]
    """1 = takes back what was posted, 0 = posts anew."""
    gross: Annotated[Ints, Column(np.int64)]
    card_pays: Annotated[Ints, Column(np.int64)]
    fund_pays: Annotated[Ints, Column(np.int64)]
    fund: Annotated[Codes, Column(np.uint16)]
    operator_bears: Annotated[Ints, Column(np.int64)]
    rule: Annotated[Codes, Column(np.uint16)]
    segment: Annotated[Codes, Column(np.uint16)]


@dataclass(frozen=True)
class Repriced:
    """Outcome of :func:`reprice`: what to post, what then stands, and what the touched cards carry on."""

    differences: PriceDifferences
    posting: Posting
    state: TransitState


def reprice(
    tariff: Tariff,
    opening: TransitState,
    posted: Posting,
    event: Ints,
    journeys: TransitJourneys,
    pays: Bools | None = None,
    *,
    threads: int = 1,
) -> Repriced:
    """Price the journeys of touched cards again from ``opening`` and compare with what was posted.

    ``journeys``, numbered by ``event``, are all rows of these cards that count now and lie behind the snapshot
    ``opening``; ``posted`` is what stands in the books for the same cards and time; ``pays`` (None = all) marks
    those whose amounts stand. Cards that did not change need not be given. Raises ValueError for a journey
    before the snapshot or an event that stands twice.
    """
    prices, state = price_journeys(tariff, journeys, opening, threads=threads)
    stands = np.ones(len(event), np.bool_) if pays is None else pays
    posting = Posting(event[stands], prices.take(stands))
    return Repriced(compare(posted, posting), posting, state)


def compare(old: Posting, new: Posting) -> PriceDifferences:
    """The rows that turn ``old`` into ``new``, ordered by event, reversals first; equal prices give none."""
    common, in_old, in_new = np.intersect1d(old.event, new.event, assume_unique=True, return_indices=True)
    same = np.ones(len(common), np.bool_)
    for name in TransitPrices.SPECS:
        same &= getattr(old.prices, name)[in_old] == getattr(new.prices, name)[in_new]
    gone, come = np.ones(len(old.event), np.bool_), np.ones(len(new.event), np.bool_)
    gone[in_old[same]] = False
    come[in_new[same]] = False
    # A row without a price has posted nothing.
    gone &= old.prices.priced
    come &= new.prices.priced
    both = PriceDifferences.concatenate([_rows(old, gone, sign=-1), _rows(new, come, sign=1)])
    return both.take(np.lexsort((1 - both.reversal.astype(np.int64), both.event)))


def _rows(posting: Posting, chosen: Bools, sign: int) -> PriceDifferences:
    prices = posting.prices.take(chosen)
    return PriceDifferences.of(
        len(prices),
        event=posting.event[chosen],
        reversal=int(sign < 0),
        gross=sign * prices.gross,
        card_pays=sign * prices.card_pays,
        fund_pays=sign * prices.fund_pays,
        fund=prices.fund,
        operator_bears=sign * prices.operator_bears,
        rule=prices.rule,
        segment=prices.segment,
    )
