"""Who does what, where and when: the residents' day before any money moves."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clearing.simulate.city import OWN, UNKEYED, Activity, City
from clearing.simulate.population import Population
from clearing.simulate.table import Ints, Table

_SHARES: Final = {
    Activity.METRO: 0.30,
    Activity.BUS: 0.13,
    Activity.BUS_TRANSFER: 0.13,
    Activity.BIKE: 0.05,
    Activity.PARKING: 0.03,
    Activity.TAXI: 0.04,
    Activity.RETAIL: 0.165,
    Activity.MEDICAL: 0.03,
    Activity.UTILITY: 0.03,
    Activity.PICKUP: 0.005,
    Activity.GRANT: 0.01,
    Activity.LOAD: 0.08,
}

# Weight of each hour from 05:00 to 02:00 next day; the operating day is cut at 03:00.
_FIRST_HOUR: Final = 5
_COMMUTE: Final = (1, 4, 12, 14, 6, 3, 3, 4, 3, 3, 4, 8, 14, 11, 6, 4, 3, 2, 1, 0.3, 0.1)
_MEALS: Final = (0.2, 2, 5, 4, 2, 2, 12, 14, 4, 2, 2, 4, 9, 10, 5, 3, 2, 1, 0.5, 0.2, 0.1)
_OFFICE: Final = (0, 0, 0.5, 6, 10, 10, 8, 3, 5, 8, 8, 6, 2, 1, 0.5, 0, 0, 0, 0, 0, 0)
_EVENING: Final = (0.5, 1, 3, 5, 5, 5, 5, 5, 5, 5, 5, 6, 8, 10, 10, 9, 7, 5, 3, 2, 1)
_HOURS: Final = {
    Activity.METRO: _COMMUTE,
    Activity.BUS: _COMMUTE,
    Activity.BUS_TRANSFER: _COMMUTE,
    Activity.BIKE: _COMMUTE,
    Activity.PARKING: _EVENING,
    Activity.TAXI: _EVENING,
    Activity.RETAIL: _MEALS,
    Activity.MEDICAL: _OFFICE,
    Activity.UTILITY: _OFFICE,
}

_OWN_CARDS_ONLY: Final = frozenset(
    {Activity.BIKE, Activity.MEDICAL, Activity.UTILITY, Activity.PICKUP, Activity.GRANT, Activity.LOAD}
)
_ONE_CARD_ONE_ROW: Final = frozenset({Activity.MEDICAL, Activity.PICKUP, Activity.GRANT})
_ROWS_PER_TERMINAL: Final = 600


def activity_counts(rows: int, city: City) -> dict[Activity, int]:
    """How many of ``rows`` transactions each activity gets; they sum to ``rows`` exactly."""
    counts = {activity: int(rows * share) for activity, share in _SHARES.items()}
    if not len(city.venues_of(Activity.BUS_TRANSFER)):
        del counts[Activity.BUS_TRANSFER]
    counts[Activity.BUS] += rows - sum(counts.values())
    return counts


def draw(
    activity: Activity, count: int, city: City, population: Population, midnight: int, rng: np.random.Generator
) -> Table:
    """``count`` rows of one activity: venue, card, terminal and time.

    Cards are drawn with a skew, so that some are used several times a day and others not at all.
    """
    venues = city.venues_of(activity)
    venue = rng.choice(venues, count)
    usable = population.usable(midnight // 86400)
    issuer = population.cards["issuer"][usable]
    pools = [usable[issuer == OWN]]
    if activity not in _OWN_CARDS_ONLY:
        # Cards without keys go only where an agreement lets them be cleared first.
        agreed = city.unkeyed_venues()[venue]
        pools += [usable[issuer != UNKEYED], usable]
        which = 1 + agreed.astype(np.int64)
    else:
        which = np.zeros(count, np.int64)
    card = np.empty(count, np.int64)
    for index, pool in enumerate(pools):
        rows = np.flatnonzero(which == index)
        card[rows] = _draw_cards(pool, len(rows), activity in _ONE_CARD_ONE_ROW, rng)
    return {
        "activity": np.full(count, activity, np.uint8),
        "venue": venue,
        "card": card,
        "time": _times(activity, count, midnight, rng),
        "terminal": draw_terminals(venue, rng),
        "amount": np.zeros(count, np.int64),
        "txn_type": np.full(count, 6, np.uint8),
        "detail": np.arange(count, dtype=np.int64),
        "mask": np.zeros(count, np.int64),
    }


def draw_terminals(venue: npt.NDArray[np.int16], rng: np.random.Generator) -> Ints:
    """Terminal of each row, numbered within its venue."""
    _, place, rows = np.unique(venue, return_inverse=True, return_counts=True)
    terminals = np.maximum(2, rows // _ROWS_PER_TERMINAL)[place]
    return (rng.random(len(venue)) * terminals).astype(np.int64)


def _draw_cards(pool: Ints, count: int, distinct: bool, rng: np.random.Generator) -> Ints:
    if distinct:
        return rng.choice(pool, count, replace=False)
    return pool[(len(pool) * rng.random(count) ** 1.4).astype(np.int64)]


def _times(activity: Activity, count: int, midnight: int, rng: np.random.Generator) -> Ints:
    if activity is Activity.GRANT:
        # Lists are disbursed before the counters open, so that a grant is known before it is picked up.
        return midnight + rng.integers(5 * 3600, 8 * 3600, count)
    if activity in (Activity.LOAD, Activity.PICKUP):
        return midnight + rng.integers(10 * 3600, 21 * 3600, count)
    weights = np.array(_HOURS[activity], np.float64)
    hour = rng.choice(len(weights), count, p=weights / weights.sum()) + _FIRST_HOUR
    return midnight + hour * 3600 + rng.integers(0, 3600, count)
