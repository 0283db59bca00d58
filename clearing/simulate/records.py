"""Rows of the day as terminals record them: every field explicit, so that faults can change it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from card_io.records import Algorithm, PurseKind
from clearing.simulate.city import OWN, SERVICE_OF, Activity, City
from clearing.simulate.population import Population
from clearing.simulate.schedule import Schedule
from clearing.simulate.table import Ints, Table, group_starts, length, running_within

SOUND: Final = 999
"""Working status of a row nothing is wrong with; above every number of the ladder, so that the minimum decides."""

TAC_VALID, TAC_ABSENT, TAC_WRONG = 0, 1, 2

_COUNTER_EPOCH: Final = 18_262  # 2020-01-01
_COUNTS_PER_DAY: Final = 40_000
_UNVERIFIED_SHARE: Final = 0.3


def add_record_fields(
    rows: Table,
    city: City,
    population: Population,
    schedule: Schedule,
    district: int,
    day: int,
    rng: np.random.Generator,
) -> None:
    """Extend plan rows by what a record says beyond the plan, by their delivery slot and working status."""
    count = length(rows)
    cards, venue = population.cards, rows["venue"]
    service_of = np.array([SERVICE_OF[activity] for activity in Activity], np.uint8)
    purse = rows["txn_type"] != 0
    merchant = city.merchants[venue]
    issuer = cards["issuer"][rows["card"]]
    unverified = city.unverified_venues()[venue] & (issuer == OWN) & (rng.random(count) < _UNVERIFIED_SHARE)
    rows |= {
        "service": service_of[rows["activity"]],
        "sender": city.senders[venue],
        "merchant": merchant,
        "issuer": issuer,
        "issuer_id": city.issuer_ids[issuer],
        "terminal_id": np.where(purse, terminal_ids(merchant, district, rows["terminal"]), 0).astype(np.uint64),
        "key_version": cards["key_version"][rows["card"]],
        "key_index": cards["key_index"][rows["card"]],
        "algorithm": np.where(purse, Algorithm.TDES, Algorithm.NONE).astype(np.uint8),
        "purse_kind": np.full(count, PurseKind.PURSE, np.uint8),
        "record_state": np.zeros(count, np.uint8),
        "test_flag": np.zeros(count, np.uint8),
        "mode": np.zeros(count, np.uint8),
        "tac": np.where(purse & ~unverified, TAC_VALID, TAC_ABSENT).astype(np.uint8),
        "date_broken": np.zeros(count, np.bool_),
        "mangling": np.zeros(count, np.uint8),
        "slot": schedule.earliest(city.senders[venue], rows["time"]),
        "status": np.full(count, SOUND, np.int16),
    }
    rows["terminal_counter"] = _terminal_counters(rows["terminal_id"], rows["time"], day)


def terminal_ids(merchant: npt.NDArray[np.uint32], district: int, terminal: Ints) -> npt.NDArray[np.uint64]:
    """Six-byte terminal numbers: two bytes each of merchant, district and terminal."""
    return merchant.astype(np.uint64) << np.uint64(32) | np.uint64(district << 16) | terminal.astype(np.uint64)


def _terminal_counters(terminal_id: npt.NDArray[np.uint64], time: Ints, day: int) -> Ints:
    """Transaction numbers per terminal in order of time; every day begins at a higher number."""
    order = np.lexsort((time, terminal_id))
    starts = group_starts(terminal_id[order])
    counter = np.empty(len(order), np.int64)
    counter[order] = running_within(np.ones(len(order), np.int64), starts)
    return counter + (day - _COUNTER_EPOCH) * _COUNTS_PER_DAY
