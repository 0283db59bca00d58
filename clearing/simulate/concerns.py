"""Faults of whole cards: listed ones, and new ones the register does not know yet."""

from __future__ import annotations

from typing import Final

import numpy as np

from clearing.calendar import SECONDS_PER_DAY
from clearing.simulate.city import OWN, City
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.population import NEVER, Population
from clearing.simulate.table import Bools, Ints, Table, group_starts
from clearing.status import ClearingStatus

_REMOVED_CARDS: Final = 20
_REMOVED_DAYS_AGO: Final = 90


def mark_cards(
    rows: Table, population: Population, city: City, day: int, plan: FaultPlan, rng: np.random.Generator
) -> None:
    """Blacklist some of the day's cards, and let some of the new ones be registered only tomorrow."""
    if plan.level == "none":
        return
    order = np.lexsort((rows["time"], rows["card"]))
    starts = group_starts(rows["card"][order])
    sizes = np.diff(np.append(starts, len(order)))
    cards = rows["card"][order[starts]]
    own = population.cards["issuer"][cards] == OWN
    unknown = _leave_unregistered(rows, cards, sizes, own, population, day, plan, rng)
    # A listing must not cover a record of an earlier day, be it from a clock that was ahead.
    listable = population.cards["published_at"][cards] == NEVER
    listable &= population.cards["latest"][cards] < day * SECONDS_PER_DAY
    used_twice = np.flatnonzero(own & (sizes >= 2) & ~unknown & listable)
    chosen = rng.permutation(used_twice)[: plan.target(len(used_twice))]
    # In force from the card's second use on: the first one still falls into the list's grace.
    second_use = rows["time"][order[starts[chosen] + 1]]
    population.cards["published_at"][cards[chosen]] = second_use - city.settings.blacklist_grace_seconds
    after, before = blacklisted(rows, population, city), np.isin(rows["card"], cards[chosen])
    rows["mask"][after] |= Fault.BLACKLISTED_AFTER_GRACE.bit
    rows["mask"][before & ~after] |= Fault.BLACKLISTED_WITHIN_GRACE.bit
    rest = np.setdiff1d(used_twice, chosen)[:_REMOVED_CARDS]
    removed = day - _REMOVED_DAYS_AGO
    population.cards["published_at"][cards[rest]] = (removed - 100) * SECONDS_PER_DAY
    population.cards["removed_at"][cards[rest]] = removed * SECONDS_PER_DAY


def _leave_unregistered(
    rows: Table,
    cards: Ints,
    sizes: Ints,
    own: Bools,
    population: Population,
    day: int,
    plan: FaultPlan,
    rng: np.random.Generator,
) -> Bools:
    """Choose new cards with enough rows between them; returns which of ``cards`` were chosen."""
    new = rng.permutation(np.flatnonzero(own & (population.cards["first_day"][cards] == day)))
    rows_so_far = np.cumsum(sizes[new]) - sizes[new]
    chosen = new[rows_so_far < plan.target(int(sizes[new].sum()))]
    population.cards["valid_from"][cards[chosen]] = day + 1
    unknown = np.zeros(len(cards), np.bool_)
    unknown[chosen] = True
    rows["mask"][np.isin(rows["card"], cards[chosen])] |= Fault.CARD_UNKNOWN.bit
    return unknown


def blacklisted(rows: Table, population: Population, city: City) -> Bools:
    """Rows whose card's listing had to be active at the time of the transaction."""
    published = population.cards["published_at"][rows["card"]]
    listed = published != NEVER
    active = np.where(listed, published, 0) + city.settings.blacklist_grace_seconds <= rows["time"]
    in_force: Bools = listed & active & (rows["time"] < population.cards["removed_at"][rows["card"]])
    return in_force


def judge_cards(rows: Table, population: Population, city: City) -> None:
    """Lower the working status of rows whose card is unknown or blacklisted at the recorded time."""
    own = population.cards["issuer"][rows["card"]] == OWN
    operating_day = (rows["time"] - city.settings.calendar.day_cut) // SECONDS_PER_DAY
    unknown = own & (operating_day < population.cards["valid_from"][rows["card"]])
    for condition, status in (
        (unknown, ClearingStatus.CARD_UNKNOWN),
        (blacklisted(rows, population, city), ClearingStatus.CARD_BLACKLISTED),
    ):
        rows["status"][condition] = np.minimum(rows["status"][condition], status)
