"""Compile times of use: which period of the day, week and year a reading lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tariffs.calendars import Calendar
from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.utility.steps import TimeOfUse
from tariffs.utility.windows import (
    POSSIBLE,
    SLOTS,
    Schedule,
    Window,
    compile_schedule,
    compile_windows,
    describe_slot,
)


@dataclass(frozen=True)
class UsePeriods:
    """Times of use: ``of_slot`` int64 (SLOTS,), −1 where only registers tell; ``of_register`` sorted pairs."""

    names: tuple[str, ...]
    schedule: Schedule
    of_slot: Ints
    registers: Ints
    of_register: Ints


def compile_time_of_use(step: TimeOfUse | None) -> UsePeriods | None:
    """The schedule of a step, which covers every half hour once; ParameterError where it does not."""
    if step is None:
        return None
    of_slot = np.full(SLOTS, -1, np.int64)
    registers: dict[int, int] = {}
    scheduled = [period.name for period in step.periods if period.when is not None]
    for index, period in enumerate(step.periods):
        place = f"time_of_use.periods[{index}]"
        if period.register_code is None and period.when is None:
            raise ParameterError(place, period.name, "give its register, its windows (when), or both")
        if period.register_code is not None and registers.setdefault(period.register_code, index) != index:
            raise ParameterError(f"{place}.register", period.register_code, "another period has this register")
        held = compile_windows(period.when or [], f"{place}.when")
        if (twice := np.flatnonzero(held & (of_slot >= 0) & POSSIBLE)).size:
            raise ParameterError(f"{place}.when", describe_slot(int(twice[0])), "another period holds then")
        of_slot[held] = index
    if scheduled and (free := np.flatnonzero((of_slot < 0) & POSSIBLE)).size:
        raise ParameterError("time_of_use.periods", describe_slot(int(free[0])), "no period holds then")
    names = tuple(period.name for period in step.periods)
    if len(set(names)) != len(names):
        raise ParameterError("time_of_use.periods", list(names), "name each period once")
    codes = sorted(registers)
    at = np.array([registers[code] for code in codes], np.int64)
    windows = [window for period in step.periods for window in period.when or ()]
    schedule = schedule_of("time_of_use", step.calendar, windows)
    return UsePeriods(names, schedule, of_slot, np.array(codes, np.int64), at)


def schedule_of(place: str, calendar: Calendar | None, windows: Sequence[Window]) -> Schedule:
    """The days of some windows of a step; ParameterError with the step's path."""
    try:
        return compile_schedule(calendar, windows)
    except ParameterError as error:
        raise ParameterError(f"{place}.{error.path}", error.value, error.remedy) from error
