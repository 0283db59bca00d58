"""Transit rows: where a journey went, what it costs, and what the terminal charged."""

from __future__ import annotations

from typing import Final

import numpy as np

from card_io.records import NULL
from clearing.simulate.city import MODE_OF, OWN, Activity, City
from clearing.simulate.fares import CLASS_CODES, FareBook
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.memory import Terms, ride
from clearing.simulate.population import Population
from clearing.simulate.table import Bools, Ints, Table, length, take

_ADULT: Final = CLASS_CODES["adult"]
_CLAIMED: Final = CLASS_CODES["student"]
"""What a terminal believes under :attr:`Fault.FALSE_CLASS`: half fare instead of the full one."""

_BUSES: Final = (Activity.BUS, Activity.BUS_TRANSFER)
_TRANSFER_SHARE: Final = 0.15
_COMMUTER_SHARE: Final = 0.7
_NOON: Final = 12 * 3600


def add_journeys(
    rows: Table,
    activity: Activity,
    city: City,
    population: Population,
    book: FareBook,
    plan: FaultPlan,
    rng: np.random.Generator,
) -> Table:
    """Fill in amount, due fare and fund of transit rows of one mode; returns their journey columns.

    ``rows`` gains ``due`` (what the card should pay), ``fund_paid``, ``fund`` and ``gross`` in fen.
    """
    detail = _journeys(rows, activity, city, population, book, rng)
    register_class = population.cards["card_class"][rows["card"]]
    _mark_before_pricing(rows, detail, activity, register_class, plan, rng)
    tariff = city.venues[int(city.venues_of(activity)[0])].tariff
    fares = book.price(tariff, detail, register_class)
    detail["gross_fare"] = fares.gross
    rows |= {"due": fares.card.copy(), "fund_paid": fares.fund_paid, "fund": fares.fund}
    detail |= {"plain_fare": fares.card, "closed": fares.closed}
    if activity is Activity.BUS_TRANSFER:
        rows["due"] = ride(Terms.of(book, tariff), rows, detail, register_class)
    rows["amount"] = rows["due"].copy()
    detail["card_class"] = register_class.copy()
    _mischarge(rows, detail, tariff, book, population, plan, rng)
    return detail


def _journeys(
    rows: Table, activity: Activity, city: City, population: Population, book: FareBook, rng: np.random.Generator
) -> Table:
    count = length(rows)
    null = np.full(count, NULL, np.int64)
    duration = _durations(activity, count, rng)
    detail: Table = {
        "mode": np.full(count, MODE_OF[activity], np.uint8),
        "line": rng.integers(1, 120, count) if activity in _BUSES else null.copy(),
        "entry_station": null.copy(),
        "exit_station": null.copy(),
        "entry_time": rows["time"] - duration,
        "vehicle": rows["terminal"] + 1000 if activity in (*_BUSES, Activity.TAXI) else null.copy(),
        "direction": rng.integers(1, 3, count).astype(np.uint8),
        "transfer_flag": np.zeros(count, np.uint8),
        "incomplete": np.zeros(count, np.uint8),
        "gross_fare": np.zeros(count, np.int64),
        "distance_m": null.copy(),
        "duration_s": duration,
    }
    match activity:
        case Activity.METRO:
            _ride_metro(rows, detail, city, population, book, rng)
        case Activity.BUS | Activity.BUS_TRANSFER:
            adult = population.cards["card_class"][rows["card"]] == _ADULT
            flagged = adult & (rng.random(count) < _TRANSFER_SHARE)
            detail["transfer_flag"][:] = flagged & (activity is Activity.BUS)
            detail["entry_time"] = null
            detail["duration_s"] = null.copy()
        case Activity.TAXI:
            detail["distance_m"] = rng.integers(800, 25_000, count)
            detail["gross_fare"] = 1300 + 100 * np.maximum((detail["distance_m"] - 3000) // 400, 0)
    return detail


def _durations(activity: Activity, count: int, rng: np.random.Generator) -> Ints:
    mean = {Activity.METRO: 1500, Activity.BIKE: 1600, Activity.PARKING: 6000}.get(activity, 1200)
    return 60 + np.minimum(rng.gamma(2.0, mean / 2, count), 14 * 3600).astype(np.int64)


def _ride_metro(
    rows: Table, detail: Table, city: City, population: Population, book: FareBook, rng: np.random.Generator
) -> None:
    """Most riders go from home to work before noon and back after it."""
    tariff = city.venues[int(city.venues_of(Activity.METRO)[0])].tariff
    stations = book.stations(tariff)
    count = length(rows)
    home = stations[population.cards["home"][rows["card"]] % len(stations)]
    work = stations[population.cards["work"][rows["card"]] % len(stations)]
    morning = rows["time"] % 86400 < _NOON
    commuter = rng.random(count) < _COMMUTER_SHARE
    for name, usual in (
        ("entry_station", np.where(morning, home, work)),
        ("exit_station", np.where(morning, work, home)),
    ):
        detail[name] = np.where(commuter, usual, rng.choice(stations, count))


def _mark_before_pricing(
    rows: Table,
    detail: Table,
    activity: Activity,
    register_class: Ints,
    plan: FaultPlan,
    rng: np.random.Generator,
) -> None:
    """Incomplete journeys: the gate of entry is unknown, and the tariff has a fare for that."""
    if activity is not Activity.METRO:
        return
    chosen = plan.choose(np.ones(length(rows), np.bool_), rng)
    rows["mask"][chosen] |= Fault.INCOMPLETE_JOURNEY.bit
    detail["incomplete"][chosen] = 1
    for name in ("entry_station", "entry_time", "duration_s"):
        detail[name][chosen] = NULL


def _mischarge(
    rows: Table,
    detail: Table,
    tariff: str,
    book: FareBook,
    population: Population,
    plan: FaultPlan,
    rng: np.random.Generator,
) -> None:
    """Let terminals charge something else than the tariff says."""
    adult_own = (detail["card_class"] == _ADULT) & (population.cards["issuer"][rows["card"]] == OWN)
    if detail["mode"][0] not in (MODE_OF[Activity.METRO], MODE_OF[Activity.BUS]):
        return
    plain = (detail["transfer_flag"] == 0) & adult_own

    def mark(kind: Fault, eligible: Bools) -> Ints:
        chosen = plan.choose(eligible & (rows["mask"] == 0), rng)
        rows["mask"][chosen] |= kind.bit
        return chosen

    over = mark(Fault.OVERCHARGE, rows["due"] > 0)
    rows["amount"][over] += 10 * rng.integers(1, 30, len(over))
    # Less than a transfer takes off, so that an undercharge never looks like an unflagged transfer.
    under = mark(Fault.UNDERCHARGE, rows["due"] >= 100)
    rows["amount"][under] -= 10 * rng.integers(1, 4, len(under))
    false = mark(Fault.FALSE_CLASS, plain)
    detail["card_class"][false] = _CLAIMED
    rows["amount"][false] = book.price(tariff, take(detail, false), np.full(len(false), _CLAIMED)).card
    lost = mark(Fault.MEMORY_LOST, detail["plain_fare"] > rows["due"])
    rows["amount"][lost] = detail["plain_fare"][lost]
    flagged = book.price(tariff, detail | {"transfer_flag": np.ones(length(rows), np.uint8)}, detail["card_class"])
    unflagged = mark(Fault.UNFLAGGED_TRANSFER, plain & (flagged.card < detail["plain_fare"]))
    rows["amount"][unflagged] = flagged.card[unflagged]
