"""Journeys of a bus whose tariff remembers the taps before: what a card owes, by a plain walk along its taps.

Once as the card itself lived the day, which is what sound terminals charge; and once as the centre must find it,
where only accepted records count and late ones change what was decided before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clearing.calendar import SECONDS_PER_DAY
from clearing.simulate.city import Activity
from clearing.simulate.fares import CLASS_CODES, FareBook
from clearing.simulate.faults import Fault
from clearing.simulate.records import SOUND
from clearing.simulate.table import Ints, Table, length, take
from clearing.status import PriceVerdict

_CONNECTING: Final = (0.30, 0.20)
"""Shares of a day's taps that follow one of the taps before them, once and once more."""

_SOONEST, _LATEST = 300, 7_200
"""Seconds between two connecting taps; some come too late for a transfer."""

_LAST_TAP: Final = 26 * 3600
_ONE: Final = 10_000


def connect(rows: Table, midnight: int, rng: np.random.Generator) -> None:
    """Let some taps follow another one of the same card; in place."""
    count = length(rows)
    sizes = [int(count * share) for share in _CONNECTING]
    first = count - sum(sizes)
    for size in sizes:
        follows = first + np.arange(size)
        before = first - size + np.arange(size)
        time = rows["time"][before] + rng.integers(_SOONEST, _LATEST, size)
        moved = (before >= 0) & (time < midnight + _LAST_TAP)
        for name in ("card", "venue", "terminal"):
            rows[name][follows[moved]] = rows[name][before[moved]]
        rows["time"][follows[moved]] = time[moved]
        first += size


@dataclass(frozen=True)
class Terms:
    """What the tariff's file says of transfers and of the day's cap."""

    window_s: int
    transfers: int
    transfer_per_10000: int
    classes: tuple[int, ...]
    cap: dict[int, int]
    day_starts: int

    @classmethod
    def of(cls, book: FareBook, tariff: str) -> Terms:
        """The terms of a tariff (raises RefusedError for any other shape than the demo tariff's)."""
        steps = book.steps(tariff)
        window, cap = steps["transfer_window"], steps["cap"]
        shape = {name: window[name] for name in _SHAPE}
        if shape != _SHAPE or cap["period"] != {"unit": "day"} or cap["capping_ride"] != "remainder":
            raise book.refuse(tariff, "this transfer window or cap is unknown to the simulator")
        hours, minutes = book.clock(tariff).split(":")
        return cls(
            window["window_s"],
            window["transfers_at_most"],
            window["per_10000"],
            tuple(CLASS_CODES[name] for name in window["classes"]),
            {CLASS_CODES[name]: fen for name, fen in cap["limits"].items()},
            int(hours) * 3600 + int(minutes) * 60,
        )


_SHAPE: Final[dict[str, Any]] = {
    "from_legs": "all",
    "to_legs": "all",
    "inclusive": True,
    "from_tap": "last",
    "measure": "departure_to_departure",
    "between": "other_line",
    "extend_on_step_up": False,
    "pay": "per_10000",
    "rounding": "half_up",
}


def walk(terms: Terms, card: Ints, taps: Table) -> Ints:
    """What the card owes for each tap, fen; rows stand card by card in the order in which they count.

    Args:
        terms: of the tariff.
        card: int64[n].
        taps: ``time``, ``line``, ``card_class``, ``plain_fare`` (fen before both), ``closed`` (takes neither).
    """
    owed = taps["plain_fare"].copy()
    last: _Card | None = None
    columns = (card, *(taps[name] for name in ("time", "line", "card_class", "plain_fare", "closed")))
    for row, (number, time, line, card_class, fare, closed) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if last is None or last.number != number:
            last = _Card(number)
        if not closed:
            owed[row] = last.tap(terms, time, line, card_class, fare)
    return owed


@dataclass
class _Card:
    """What one card remembers."""

    number: int
    tapped_at: int | None = None
    card_class: int = -1
    line: int = 0
    transfers: int = 0
    day: int = -1
    paid: int = 0

    def tap(self, terms: Terms, time: int, line: int, card_class: int, fare: int) -> int:
        """What this tap costs."""
        if fare > 0 and card_class in terms.classes:
            continues = self._continues(terms, time, line, card_class)
            self.transfers = self.transfers + 1 if continues else 0
            self.tapped_at, self.card_class, self.line = time, card_class, line
            if continues:
                fare = (2 * fare * terms.transfer_per_10000 + _ONE) // (2 * _ONE)
        day = (time - terms.day_starts) // SECONDS_PER_DAY
        if day != self.day:
            self.day, self.paid = day, 0
        if card_class in terms.cap:
            fare = min(fare, max(terms.cap[card_class] - self.paid, 0))
        self.paid += fare
        return fare

    def _continues(self, terms: Terms, time: int, line: int, card_class: int) -> bool:
        return (
            self.tapped_at is not None
            and self.card_class == card_class
            and time - self.tapped_at <= terms.window_s
            and self.transfers < terms.transfers
            and line != self.line
        )


_TAP: Final = ("time", "line", "card_class", "plain_fare", "closed")


def ride(terms: Terms, rows: Table, detail: Table, card_class: npt.NDArray[Any]) -> Ints:
    """What each tap of the day costs as the cards live it, fen."""
    order = np.lexsort((rows["time"], rows["card"]))
    taps = {**detail, "time": rows["time"], "card_class": card_class.astype(np.int64)}
    owed = np.empty(length(rows), np.int64)
    owed[order] = walk(terms, rows["card"][order], {name: taps[name][order] for name in _TAP})
    return owed


def settle(rows: Table, detail: Table, register_class: npt.NDArray[Any], terms: Terms | None) -> None:
    """What the centre must find each remembering tap to cost once all records are there; in place.

    ``rows`` gain ``remembered`` (bool), and their ``due`` becomes the final one.

    Args:
        rows: all rows of the day, spoiled and copied, with their ``status``.
        detail: journey columns, addressed by the rows' ``detail``.
        register_class: of each row's card.
        terms: of the tariff, None when no bus remembers.
    """
    rows["remembered"] = rows["activity"] == Activity.BUS_TRANSFER
    counting = np.flatnonzero(rows["remembered"] & (rows["status"] == SOUND))
    if terms is None or not len(counting):
        return
    columns = ("terminal_counter", "terminal_id", "counter", "time", "card")
    counting = counting[np.lexsort(tuple(rows[name][counting] for name in columns))]
    chosen = take(rows, counting)
    taps = {name: detail[name][chosen["detail"]] for name in ("line", "plain_fare", "closed")}
    taps |= {"time": chosen["time"], "card_class": register_class[counting].astype(np.int64)}
    rows["due"][counting] = walk(terms, chosen["card"], taps)


def verdicts(rows: Table, due: Ints) -> npt.NDArray[np.uint8]:
    """How what terminals charged compares with what the tariff asks."""
    verdict = np.where(rows["amount"] > due, PriceVerdict.OVERCHARGE, PriceVerdict.UNDERCHARGE).astype(np.uint8)
    verdict[(rows["mask"] & Fault.FALSE_CLASS.bit) != 0] = PriceVerdict.CLASS_MISMATCH
    verdict[rows["amount"] == due] = PriceVerdict.MATCH
    return verdict
