"""Faults made of two records: duplicates, replays, forgeries, conflicts; and records that come late."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from card_io.records import Service
from clearing.simulate.city import UNKEYED, Activity
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.records import TAC_VALID, TAC_WRONG
from clearing.simulate.spoil import Part, Scene
from clearing.simulate.table import Bools, Ints, Table, concatenate, length, take
from clearing.status import ClearingStatus

_LATE_SHARE = 0.015
_FRESH_COUNTER = 1 << 30
"""Added to a terminal's transaction number to make one that terminal never used."""


def delay(rows: Table, scene: Scene, plan: FaultPlan) -> None:
    """Send some records after the cut-off: lost and found ones, and single ones that left a counter gap."""
    movable = rows["activity"] != Activity.GRANT
    late = movable & (scene.rng.random(length(rows)) < _LATE_SHARE)
    rows["slot"][late] = scene.schedule.late
    rows["mask"][late] |= Fault.LATE_RECORD.bit
    gap = plan.choose(movable & ~late & (rows["mask"] == 0) & (rows["txn_type"] != 0), scene.rng)
    rows["slot"][gap] = scene.schedule.late
    rows["mask"][gap] |= Fault.COUNTER_GAP_FILLED_LATE.bit


def add_copies(rows: Table, scene: Scene, plan: FaultPlan) -> Table:
    """Rows plus their duplicates, replays, forgeries and conflicting twins.

    Every copied row is copied once, so that the outcome of a pair follows from that pair alone. A copy keeps the
    faults of its original; what the original fails before rows compete, the copy fails too.
    """
    if plan.level == "none":
        return rows
    last = scene.schedule.late - 1
    purse, debit = rows["txn_type"] != 0, rows["service"] != Service.LOAD
    sound_bytes = (rows["parts"] & int(Part.TIME | Part.BYTES)) == 0
    in_window = rows["slot"] <= last
    pool = purse & sound_bytes & in_window
    simple = debit & ((rows["service"] == Service.TRANSIT) | (rows["service"] == Service.RETAIL))
    verifiable = (rows["issuer"] != UNKEYED) & (rows["tac"] == TAC_VALID)
    free = np.ones(length(rows), np.bool_)
    copies: list[Table] = []

    def copy(kind: Fault, eligible: Bools, change: Callable[[Table, Ints], None]) -> None:
        for among in (rows["mask"] == 0, rows["mask"] != 0)[: 2 if plan.level == "heavy" else 1]:
            chosen = plan.choose(eligible & among & free, scene.rng)
            free[chosen] = False
            twin = take(rows, chosen)
            change(twin, chosen)
            twin["mask"] |= kind.bit
            copies.append(twin)

    def outcome(twin: Table, status: ClearingStatus) -> None:
        twin["status"] = np.minimum(twin["status"], status)

    def duplicate(slots: int) -> Callable[[Table, Ints], None]:
        def change(twin: Table, chosen: Ints) -> None:
            twin["slot"] += np.int8(slots)
            outcome(twin, ClearingStatus.DUPLICATE)

        return change

    def duplicate_late(twin: Table, chosen: Ints) -> None:
        twin["slot"][:] = scene.schedule.late
        outcome(twin, ClearingStatus.DUPLICATE)

    def replay(twin: Table, chosen: Ints) -> None:
        _send_half_late(twin, scene)
        twin["counter"] += scene.rng.integers(1, 50, length(twin))
        outcome(twin, ClearingStatus.REPLAY)

    def forge(twin: Table, chosen: Ints) -> None:
        """The forgery takes the genuine record's place in time, the genuine one comes with the next delivery."""
        rows["slot"][chosen] += np.int8(1)
        higher = np.arange(len(chosen)) % 2 * scene.rng.integers(1, 5_000, len(chosen))
        twin["amount"] += higher
        twin["tac"][:] = TAC_WRONG
        outcome(twin, ClearingStatus.TAC_FAILED)

    def conflict(twin: Table, chosen: Ints, kind: Fault) -> None:
        """Both sides are held when they arrive before the same cut-off, else only the newcomer."""
        together = ~_send_half_late(twin, scene)
        both = chosen[together]
        rows["status"][both] = np.minimum(rows["status"][both], ClearingStatus.CONFLICT)
        rows["mask"][both] |= kind.bit
        outcome(twin, ClearingStatus.CONFLICT)

    def same_counter(twin: Table, chosen: Ints) -> None:
        twin["time"] -= scene.rng.integers(60, 300, len(chosen))
        twin["terminal_counter"] += _FRESH_COUNTER
        conflict(twin, chosen, Fault.CONFLICT_COUNTER)

    def other_balance(twin: Table, chosen: Ints) -> None:
        shift = scene.rng.integers(1, 2_000, len(chosen))
        twin["before"] += shift
        twin["after"] += shift
        conflict(twin, chosen, Fault.CONFLICT_BALANCE)

    copy(Fault.DUPLICATE_IN_FILE, pool, duplicate(0))
    copy(Fault.DUPLICATE_ACROSS_FILES, pool & (rows["slot"] < last), duplicate(1))
    copy(Fault.DUPLICATE_ACROSS_WINDOWS, pool, duplicate_late)
    copy(Fault.REPLAY_RAISED_COUNTER, pool & debit, replay)
    copy(Fault.FORGED_COPY, pool & simple & verifiable, forge)
    copy(Fault.CONFLICT_COUNTER, pool & simple & verifiable, same_counter)
    copy(Fault.CONFLICT_BALANCE, pool & simple & verifiable, other_balance)
    return concatenate([rows, *copies])


def _send_half_late(twin: Table, scene: Scene) -> Bools:
    """Let every second copy arrive after the cut-off; returns which."""
    late: Bools = np.arange(length(twin)) % 2 == 1
    twin["slot"][late] = scene.schedule.late
    return late
