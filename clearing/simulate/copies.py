"""Faults made of two records: duplicates, replays, forgeries, conflicts; and records that come late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from card_io.records import Service
from clearing.simulate.city import UNKEYED, Activity
from clearing.simulate.faults import Fault, FaultPlan
from clearing.simulate.records import TAC_VALID, TAC_WRONG
from clearing.simulate.spoil import Part, Scene
from clearing.simulate.table import Bools, Ints, Table, concatenate, length, take
from clearing.status import ClearingStatus

_LATE_SHARE: Final = 0.015
_FRESH_COUNTER: Final = 1 << 30
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
    return _Copier(rows, scene, plan).all_rows()


class _Copier:
    """Copies rows of one district, each row at most once."""

    def __init__(self, rows: Table, scene: Scene, plan: FaultPlan) -> None:
        self._rows, self._scene, self._plan = rows, scene, plan
        self._free: Bools = np.ones(length(rows), np.bool_)
        self._twins: list[Table] = []

    def all_rows(self) -> Table:
        rows, last = self._rows, self._scene.schedule.late - 1
        decodable_in_time = (rows["parts"] & int(Part.TIME | Part.BYTES)) == 0
        pool = (rows["txn_type"] != 0) & decodable_in_time & (rows["slot"] <= last)
        debit = pool & (rows["service"] != Service.LOAD)
        plain = pool & ((rows["service"] == Service.TRANSIT) | (rows["service"] == Service.RETAIL))
        plain &= (rows["issuer"] != UNKEYED) & (rows["tac"] == TAC_VALID)
        self._copy(Fault.DUPLICATE_IN_FILE, pool, self._duplicate)
        self._copy(Fault.DUPLICATE_ACROSS_FILES, pool & (rows["slot"] < last), self._duplicate_next)
        self._copy(Fault.DUPLICATE_ACROSS_WINDOWS, pool, self._duplicate_late)
        self._copy(Fault.REPLAY_RAISED_COUNTER, debit, self._replay)
        self._copy(Fault.FORGED_COPY, plain, self._forge)
        self._copy(Fault.CONFLICT_COUNTER, plain, self._same_counter)
        self._copy(Fault.CONFLICT_BALANCE, plain, self._other_balance)
        return concatenate([rows, *self._twins])

    def _copy(self, kind: Fault, eligible: Bools, change: Callable[[Table, Ints], None]) -> None:
        """Copy sound rows, under ``heavy`` also faulty ones; ``change(twin, originals)`` makes the difference."""
        sound = self._rows["mask"] == 0
        for among in (sound, ~sound) if self._plan.level == "heavy" else (sound,):
            chosen = self._plan.choose(eligible & among & self._free, self._scene.rng)
            self._free[chosen] = False
            twin = take(self._rows, chosen)
            change(twin, chosen)
            twin["mask"] |= kind.bit
            self._twins.append(twin)

    def _duplicate(self, twin: Table, originals: Ints) -> None:
        _fail(twin, ClearingStatus.DUPLICATE)

    def _duplicate_next(self, twin: Table, originals: Ints) -> None:
        twin["slot"] += np.int8(1)
        _fail(twin, ClearingStatus.DUPLICATE)

    def _duplicate_late(self, twin: Table, originals: Ints) -> None:
        twin["slot"][:] = self._scene.schedule.late
        _fail(twin, ClearingStatus.DUPLICATE)

    def _replay(self, twin: Table, originals: Ints) -> None:
        """The TAC of a purchase does not cover the card counter, so the raised one still verifies."""
        self._send_half_late(twin)
        twin["counter"] += self._scene.rng.integers(1, 50, length(twin))
        _fail(twin, ClearingStatus.REPLAY)

    def _forge(self, twin: Table, originals: Ints) -> None:
        """The forgery takes the genuine record's place in time, the genuine one comes with the next delivery."""
        self._rows["slot"][originals] += np.int8(1)
        higher = np.arange(len(originals)) % 2 * self._scene.rng.integers(1, 5_000, len(originals))
        twin["amount"] += higher
        twin["tac"][:] = TAC_WRONG
        _fail(twin, ClearingStatus.TAC_FAILED)

    def _same_counter(self, twin: Table, originals: Ints) -> None:
        twin["time"] -= self._scene.rng.integers(60, 300, len(originals))
        twin["terminal_counter"] += _FRESH_COUNTER
        self._conflict(twin, originals, Fault.CONFLICT_COUNTER)

    def _other_balance(self, twin: Table, originals: Ints) -> None:
        shift = self._scene.rng.integers(1, 2_000, len(originals))
        twin["before"] += shift
        twin["after"] += shift
        self._conflict(twin, originals, Fault.CONFLICT_BALANCE)

    def _conflict(self, twin: Table, originals: Ints, kind: Fault) -> None:
        """Both sides are held when they arrive before the same cut-off, else only the newcomer."""
        both = originals[~self._send_half_late(twin)]
        self._rows["status"][both] = np.minimum(self._rows["status"][both], ClearingStatus.CONFLICT)
        self._rows["mask"][both] |= kind.bit
        _fail(twin, ClearingStatus.CONFLICT)

    def _send_half_late(self, twin: Table) -> Bools:
        """Let every second copy arrive after the cut-off; returns which."""
        late: Bools = np.arange(length(twin)) % 2 == 1
        twin["slot"][late] = self._scene.schedule.late
        return late


def _fail(twin: Table, status: ClearingStatus) -> None:
    twin["status"] = np.minimum(twin["status"], status)
