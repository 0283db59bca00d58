"""Faults of single records: what is changed in the record, and the status that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np

from card_io.records import Algorithm, Mode, RecordState, Service
from clearing.simulate.city import OWN, UNKEYED, Activity, City
from clearing.simulate.faults import Fault, FaultPlan, mask_of
from clearing.simulate.records import TAC_ABSENT, TAC_VALID, TAC_WRONG
from clearing.simulate.schedule import Schedule
from clearing.simulate.table import Bools, Ints, Table, length
from clearing.status import ClearingStatus


class Part(IntFlag):
    """Which part of a record a fault touches; two faults of one row never touch the same."""

    TAC = 1
    TIME = 2
    STATE = 4
    TEST = 8
    MERCHANT = 16
    TERMINAL = 32
    MONEY = 64
    ISSUER = 128
    ALGORITHM = 256
    FORM = 512
    MODE = 1024
    BENEFIT = 2048
    BYTES = 4096


MANGLINGS: Final = ("amount", "card_no", "date4", "merchant_id")
"""Columns a mangled row loses or gets an impossible value in; ``mangling`` is 1 + the position."""

UNKNOWN_VERSION: Final = 9
_UNKNOWN_ISSUER: Final = 0x9999000000000001
_UNKNOWN_MERCHANT: Final = 99_999
_UNKNOWN_PURSE: Final = 3
_FUTURE_TOLERANCE_MARGIN: Final = 60
_UNMATCHED_BENEFIT: Final = 9_000_000_000_000_000_000

_CHARGING: Final = mask_of(
    (
        Fault.OVERCHARGE,
        Fault.UNDERCHARGE,
        Fault.FALSE_CLASS,
        Fault.UNFLAGGED_TRANSFER,
        Fault.INCOMPLETE_JOURNEY,
        Fault.MEMORY_LOST,
    )
)


@dataclass(frozen=True)
class Scene:
    """What spoilers look at beyond the rows."""

    city: City
    schedule: Schedule
    rng: np.random.Generator


Eligible = Callable[[Table, Scene], Bools]
Change = Callable[[Table, Ints, Scene], None]


@dataclass(frozen=True)
class Spoiler:
    """One kind of fault of single records."""

    kind: Fault
    status: ClearingStatus
    part: Part
    eligible: Eligible
    change: Change


def spoil(rows: Table, scene: Scene, plan: FaultPlan) -> None:
    """Put every kind of record fault into some rows; under ``heavy`` also into rows that have another already."""
    rows["parts"] = np.where(rows["mask"] & _CHARGING, int(Part.MONEY), 0).astype(np.int16)
    excessive = (rows["mask"] & Fault.BILLS_EXCEED_PAYMENT.bit) != 0
    rows["status"][excessive] = ClearingStatus.BILLS_EXCEED_PAYMENT
    for spoiler in SPOILERS:
        _apply(spoiler, rows, rows["mask"] == 0, scene, plan)
    if plan.level == "heavy":
        for spoiler in SPOILERS:
            _apply(spoiler, rows, rows["mask"] != 0, scene, plan)


def _apply(spoiler: Spoiler, rows: Table, among: Bools, scene: Scene, plan: FaultPlan) -> None:
    part = int(spoiler.part)
    free = among & ((rows["parts"] & part) == 0)
    # Grants decide about loads elsewhere: a spoiled grant would spoil its pick-up too.
    free &= (rows["txn_type"] != 0) & spoiler.eligible(rows, scene)
    chosen = plan.choose(free, scene.rng)
    rows["mask"][chosen] |= spoiler.kind.bit
    rows["parts"][chosen] |= part
    rows["status"][chosen] = np.minimum(rows["status"][chosen], spoiler.status)
    spoiler.change(rows, chosen, scene)


def _any_row(rows: Table, scene: Scene) -> Bools:
    return np.ones(length(rows), np.bool_)


def _keyed(rows: Table, scene: Scene) -> Bools:
    """Rows with a TAC whose key the centre holds."""
    return np.asarray((rows["issuer"] != UNKEYED) & (rows["tac"] == TAC_VALID))


def _keyed_load(rows: Table, scene: Scene) -> Bools:
    return np.asarray(_keyed(rows, scene) & (rows["service"] == Service.LOAD))


def _keyed_debit(rows: Table, scene: Scene) -> Bools:
    return np.asarray(_keyed(rows, scene) & (rows["service"] != Service.LOAD))


def _not_excused(rows: Table, scene: Scene) -> Bools:
    """Rows whose TAC no agreement lets be absent."""
    return np.asarray(_keyed(rows, scene) & ~scene.city.unverified_venues()[rows["venue"]])


def _own_keyed(rows: Table, scene: Scene) -> Bools:
    return np.asarray(_keyed(rows, scene) & (rows["issuer"] == OWN))


def _small_money(rows: Table, scene: Scene) -> Bools:
    """Rows whose amount nothing else has to agree with."""
    return np.asarray(
        (rows["service"] == Service.TRANSIT) | (rows["service"] == Service.RETAIL) | _ordinary_load(rows, scene)
    )


def _ordinary_load(rows: Table, scene: Scene) -> Bools:
    return np.asarray(rows["activity"] == Activity.LOAD)


def _metro(rows: Table, scene: Scene) -> Bools:
    return np.asarray(rows["activity"] == Activity.METRO)


def _set(column: str, value: int) -> Change:
    def change(rows: Table, chosen: Ints, scene: Scene) -> None:
        rows[column][chosen] = value

    return change


def _clock_ahead(rows: Table, chosen: Ints, scene: Scene) -> None:
    sent = scene.schedule.sent_at(rows["sender"][chosen], rows["slot"][chosen])
    tolerance = scene.city.settings.calendar.future_tolerance_seconds
    rows["time"][chosen] = sent + tolerance + _FUTURE_TOLERANCE_MARGIN + scene.rng.integers(0, 259_200, len(chosen))


def _too_old(rows: Table, chosen: Ints, scene: Scene) -> None:
    days = scene.city.settings.calendar.late_days_max + scene.rng.integers(2, 20, len(chosen))
    rows["time"][chosen] -= 86400 * days


def _unknown_merchant(rows: Table, chosen: Ints, scene: Scene) -> None:
    """Half are in no list, half belong to another sender."""
    venues = scene.city.venues
    stranger = {v.sender: next(o.merchant for o in venues if o.sender != v.sender) for v in venues}
    others = np.array([stranger[v.sender] for v in venues], np.uint32)[rows["venue"][chosen]]
    rows["merchant"][chosen] = np.where(np.arange(len(chosen)) % 2 == 0, _UNKNOWN_MERCHANT, others)


def _unknown_terminal(rows: Table, chosen: Ints, scene: Scene) -> None:
    rows["terminal_id"][chosen] |= np.uint64(0xF000)


def _break_balance(rows: Table, chosen: Ints, scene: Scene) -> None:
    rows["after"][chosen] += scene.rng.integers(1, 500, len(chosen))


def _over_limit(rows: Table, chosen: Ints, scene: Scene) -> None:
    limits = np.zeros(int(max(Service)) + 1, np.int64)
    for service in Service:
        limits[service] = scene.city.settings.limit(service)
    amount = limits[rows["service"][chosen]] + scene.rng.integers(1, 50_000, len(chosen))
    left = scene.rng.integers(0, 5_000, len(chosen))
    credit = rows["service"][chosen] == Service.LOAD
    rows["amount"][chosen] = amount
    rows["before"][chosen] = np.where(credit, left, left + amount)
    rows["after"][chosen] = np.where(credit, left + amount, left)


def _unmatched_benefit(rows: Table, chosen: Ints, scene: Scene) -> None:
    rows["benefit_id"][chosen] = _UNMATCHED_BENEFIT + rows["time"][chosen] * 10_000_000 % 10**17 + chosen


def _foreign_mode(rows: Table, chosen: Ints, scene: Scene) -> None:
    """A mode that this merchant does not offer."""
    rows["mode"][chosen] = Mode.TAXI


def _mangle(rows: Table, chosen: Ints, scene: Scene) -> None:
    rows["mangling"][chosen] = 1 + np.arange(len(chosen)) % len(MANGLINGS)


_S = ClearingStatus
SPOILERS: Final = (
    Spoiler(Fault.MANGLED_ROW, _S.UNREADABLE, Part.BYTES, _any_row, _mangle),
    Spoiler(Fault.FORM_INVALID, _S.FORM_INVALID, Part.FORM, _any_row, _set("purse_kind", _UNKNOWN_PURSE)),
    Spoiler(Fault.IMPOSSIBLE_DATE, _S.TIME_IMPOSSIBLE, Part.TIME, _any_row, _set("date_broken", 1)),
    Spoiler(Fault.TEST_ROW, _S.TEST_RECORD, Part.TEST, _any_row, _set("test_flag", 1)),
    Spoiler(Fault.GREY_ROW, _S.GREY_RECORD, Part.STATE, _any_row, _set("record_state", RecordState.GREY)),
    Spoiler(Fault.LOCKED_ROW, _S.LOCKED_RECORD, Part.STATE, _any_row, _set("record_state", RecordState.LOCKED)),
    Spoiler(Fault.UNKNOWN_MERCHANT, _S.UNKNOWN_MERCHANT, Part.MERCHANT, _any_row, _unknown_merchant),
    Spoiler(Fault.UNKNOWN_TERMINAL, _S.UNKNOWN_TERMINAL, Part.TERMINAL, _any_row, _unknown_terminal),
    Spoiler(Fault.UNKNOWN_ISSUER, _S.UNKNOWN_ISSUER, Part.ISSUER, _any_row, _set("issuer_id", _UNKNOWN_ISSUER)),
    Spoiler(
        Fault.ALGORITHM_NOT_PERMITTED,
        _S.ALGORITHM_NOT_PERMITTED,
        Part.ALGORITHM,
        _any_row,
        _set("algorithm", Algorithm.SM4),
    ),
    Spoiler(Fault.UNKNOWN_KEY_VERSION, _S.KEY_UNKNOWN, Part.TAC, _keyed, _set("key_version", UNKNOWN_VERSION)),
    Spoiler(Fault.MISSING_TAC, _S.TAC_MISSING, Part.TAC, _not_excused, _set("tac", TAC_ABSENT)),
    Spoiler(Fault.WRONG_TAC, _S.TAC_FAILED, Part.TAC, _keyed_debit, _set("tac", TAC_WRONG)),
    Spoiler(Fault.BAD_LOAD_TAC, _S.TAC_FAILED, Part.TAC, _keyed_load, _set("tac", TAC_WRONG)),
    Spoiler(Fault.BALANCE_BREAK, _S.BALANCE_BREAK, Part.MONEY, _any_row, _break_balance),
    Spoiler(Fault.BENEFIT_UNMATCHED, _S.BENEFIT_UNMATCHED, Part.BENEFIT, _ordinary_load, _unmatched_benefit),
    Spoiler(Fault.OVER_LIMIT, _S.AMOUNT_OVER_LIMIT, Part.MONEY, _small_money, _over_limit),
    Spoiler(Fault.CLOCK_AHEAD, _S.TIME_IN_FUTURE, Part.TIME, _keyed, _clock_ahead),
    Spoiler(Fault.TOO_OLD, _S.TOO_OLD, Part.TIME, _own_keyed, _too_old),
    Spoiler(Fault.NO_TARIFF, _S.NO_TARIFF, Part.MODE, _metro, _foreign_mode),
)
"""All record faults; for the last one, a metro operator runs no taxis."""
