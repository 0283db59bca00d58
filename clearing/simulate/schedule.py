"""When senders deliver: several times a day before the cut-off, and once more for what came late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clearing.calendar import cut_off_of
from clearing.config import Calendar
from clearing.simulate.table import Ints

_HOURS: Final = (9.5, 13.0, 18.0, 22.5)
_HOURS_OF_SMALL_DAY: Final = (9.5, 18.0)
_SMALL_DAY: Final = 20_000
_BEFORE_CUT_OFF: Final = 1200
_AFTER_CUT_OFF: Final = 7 * 3600
_STAGGER: Final = 600
_UPLOAD_DELAY: Final = 60


@dataclass(frozen=True)
class Schedule:
    """Delivery slots of one business date; the last one lies after its cut-off."""

    base: tuple[int, ...]

    @property
    def late(self) -> int:
        """The slot after the cut-off."""
        return len(self.base) - 1

    def sent_at(self, sender: npt.ArrayLike, slot: npt.ArrayLike) -> Ints:
        """Wall seconds at which a sender's delivery of a slot leaves."""
        moment: Ints = np.array(self.base, np.int64)[np.asarray(slot)]
        return moment + np.asarray(sender, np.int64) * 37 % _STAGGER

    def earliest(self, sender: Ints, time: Ints) -> npt.NDArray[np.int8]:
        """First slot that can carry a record of ``time``."""
        slot = np.zeros(len(time), np.int8)
        for number in range(self.late):
            slot += time + _UPLOAD_DELAY > self.sent_at(sender, np.full(len(time), number))
        return slot


def schedule_of(day: int, rows: int, calendar: Calendar) -> Schedule:
    """The slots of business date ``day``; a small day has fewer."""
    hours = _HOURS_OF_SMALL_DAY if rows < _SMALL_DAY else _HOURS
    cut_off = cut_off_of(day, calendar)
    in_time = [day * 86400 + int(hour * 3600) for hour in hours]
    return Schedule((*in_time, cut_off - _BEFORE_CUT_OFF, cut_off + _AFTER_CUT_OFF))
