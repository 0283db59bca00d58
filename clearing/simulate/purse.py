"""The cards' purses over the day: top-ups where they are needed, counters and balances in order of time."""

from __future__ import annotations

from typing import Final

import numpy as np

from clearing.simulate.city import OWN, Activity, City
from clearing.simulate.demand import draw_terminals
from clearing.simulate.population import Population
from clearing.simulate.table import Ints, Table, group_starts, running_within

_LOAD_STEP: Final = 5_000
_LOAD_MOST: Final = 100_000
_RESERVE: Final = 2_000
_DAY_SPAN: Final = 1 << 18
"""More seconds than a day's events span, so that (card, time) packs into one sort key."""

CREDITS: Final = (Activity.LOAD, Activity.PICKUP)


def fund_purses(
    debits: Table, population: Population, day: int, quota: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Top-ups that keep every own card from running dry.

    Args:
        debits: columns ``card``, ``time``, ``amount`` of the day's purse debits.
        population: new cards get their first balance here, about as many as ``quota`` too low for the day.
        quota: how many top-ups the day should have.

    Returns:
        Card, amount and latest time of each necessary top-up; there may be more or fewer than ``quota``.
    """
    cards = population.cards
    total = np.bincount(debits["card"], debits["amount"], len(population)).astype(np.int64)
    first = np.full(len(population), np.iinfo(np.int64).max)
    np.minimum.at(first, debits["card"], debits["time"])
    active = np.flatnonzero(total)
    new = active[cards["first_day"][active] == day]
    low = rng.random(len(new)) < 0.6 * quota / max(len(active), 1)
    low &= cards["issuer"][new] == OWN
    cards["balance"][new] = np.where(
        low, (total[new] * rng.random(len(new))).astype(np.int64), total[new] + rng.integers(0, 15_000, len(new))
    )
    lacking = total - cards["balance"]
    # Foreign cards are topped up at home; here they simply hold enough.
    foreign = active[cards["issuer"][active] != OWN]
    cards["balance"][foreign] += np.maximum(lacking[foreign], 0)
    needy = active[(lacking[active] > 0) & (cards["issuer"][active] == OWN)]
    wanted = -(-(lacking[needy] + _RESERVE) // _LOAD_STEP) * _LOAD_STEP
    times = -(-wanted // _LOAD_MOST)
    each = np.minimum(-(-wanted // times // _LOAD_STEP) * _LOAD_STEP, _LOAD_MOST)
    return np.repeat(needy, times), np.repeat(each, times), np.repeat(first[needy], times)


def top_up_rows(
    needed: tuple[Ints, Ints, Ints],
    voluntary: Ints,
    city: City,
    midnight: int,
    rng: np.random.Generator,
) -> Table:
    """Load rows for necessary top-ups and for ``voluntary`` cards that top up at any time of the day."""
    card = np.concatenate([needed[0], voluntary])
    count = len(card)
    before = needed[2] - rng.integers(60, 1800, len(needed[0]))
    anytime = midnight + rng.integers(6 * 3600, 22 * 3600, len(voluntary))
    amount = np.concatenate([needed[1], _LOAD_STEP * rng.choice((1, 2, 4), len(voluntary))])
    venue = rng.choice(city.venues_of(Activity.LOAD), count)
    return {
        "activity": np.full(count, Activity.LOAD, np.uint8),
        "venue": venue,
        "card": card,
        "time": np.concatenate([before, anytime]),
        "terminal": draw_terminals(venue, rng),
        "amount": amount,
        "txn_type": np.full(count, 2, np.uint8),
        "detail": np.arange(count),
        "mask": np.zeros(count, np.int64),
        "due": amount.copy(),
        "fund_paid": np.zeros(count, np.int64),
        "fund": np.zeros(count, np.int64),
        "benefit_id": np.zeros(count, np.int64),
    }


def walk_purses(rows: Table, population: Population, midnight: int) -> None:
    """Give every purse row its counter and balances, and move the cards on to the end of the day.

    ``rows`` gains ``before``, ``after`` and ``counter``; rows without purse get zeros.
    """
    count = len(rows["card"])
    for name in ("before", "after", "counter"):
        rows[name] = np.zeros(count, np.int64)
    purse = np.flatnonzero(rows["txn_type"] != 0)
    key = rows["card"][purse] * _DAY_SPAN + (rows["time"][purse] - midnight)
    order = purse[np.argsort(key, kind="stable")]
    card = rows["card"][order]
    starts = group_starts(card)
    credit = np.isin(rows["activity"][order], CREDITS)
    amount = rows["amount"][order]
    moved = np.where(credit, amount, -amount)
    after = population.cards["balance"][card] + running_within(moved, starts)
    rows["after"][order] = after
    rows["before"][order] = after - moved
    ends = np.append(starts[1:], len(order)) - 1
    population.cards["balance"][card[ends]] = after[ends]
    for name, used in (("debits", ~credit), ("loads", credit)):
        run = running_within(used.astype(np.int64), starts)
        counter = population.cards[name][card] + run - 1
        rows["counter"][order[used]] = counter[used]
        population.cards[name][card[ends]] += run[ends]
