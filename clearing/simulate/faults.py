"""The faults a simulated day carries, how often, and what each does to a row's status."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np

from clearing.simulate.table import Bools, Ints

FaultLevel = Literal["none", "default", "heavy"]


class Fault(IntEnum):
    """Kinds of fault; the value is the bit in a row's fault mask."""

    WRONG_TAC = 0
    MISSING_TAC = 1
    UNKNOWN_KEY_VERSION = 2
    REPLAY_RAISED_COUNTER = 3
    FORGED_COPY = 4
    DUPLICATE_IN_FILE = 5
    DUPLICATE_ACROSS_FILES = 6
    DUPLICATE_ACROSS_WINDOWS = 7
    CONFLICT_COUNTER = 8
    CONFLICT_BALANCE = 9
    COUNTER_GAP_FILLED_LATE = 10
    LATE_RECORD = 11
    CLOCK_AHEAD = 12
    BLACKLISTED_AFTER_GRACE = 13
    BLACKLISTED_WITHIN_GRACE = 14
    UNKNOWN_MERCHANT = 15
    UNKNOWN_TERMINAL = 16
    BALANCE_BREAK = 17
    OVER_LIMIT = 18
    OVERCHARGE = 19
    UNDERCHARGE = 20
    FALSE_CLASS = 21
    UNFLAGGED_TRANSFER = 22
    DOUBLE_PAID_BILL = 23
    BAD_LOAD_TAC = 24
    INCOMPLETE_JOURNEY = 25
    TEST_ROW = 26
    GREY_ROW = 27
    LOCKED_ROW = 28
    MANGLED_ROW = 29
    IMPOSSIBLE_DATE = 30
    BENEFIT_UNMATCHED = 31
    CARD_UNKNOWN = 32
    TOO_OLD = 33
    BILLS_EXCEED_PAYMENT = 34
    FORM_INVALID = 35
    UNKNOWN_ISSUER = 36
    ALGORITHM_NOT_PERMITTED = 37
    NO_TARIFF = 38
    MEDICAL_MISCALCULATED = 39
    BILL_MISPRICED = 40
    MEMORY_LOST = 41
    """The terminal charged as if the card remembered nothing."""

    @property
    def bit(self) -> np.int64:
        """The kind's bit in a fault mask."""
        return np.int64(1 << self.value)


def mask_of(kinds: Iterable[Fault]) -> np.int64:
    """The fault mask of several kinds."""
    return np.int64(sum(1 << kind.value for kind in kinds))


_MINIMUM: Final = 20
_SHARE_OF_POOL: Final = 0.2
_SHARE_OF_SMALL_DAY: Final = 0.005
_RATE: Final[dict[FaultLevel, float]] = {"none": 0.0, "default": 0.0005, "heavy": 0.002}


@dataclass(frozen=True)
class FaultPlan:
    """How many rows of each kind a district of ``rows`` transactions gets."""

    level: FaultLevel
    rows: int

    def target(self, pool: int) -> int:
        """Cases of one kind, given how many rows could carry it.

        The level's share of all rows or 20, whichever is more; below 4 000 rows fewer than 20, and never more
        than a fifth of the rows there are for it, so that faults stay the exception.
        """
        if self.level == "none" or pool == 0:
            return 0
        minimum = min(_MINIMUM, int(self.rows * _SHARE_OF_SMALL_DAY))
        wanted = max(minimum, int(np.ceil(self.rows * _RATE[self.level])))
        return max(1, min(wanted, int(pool * _SHARE_OF_POOL)))

    def choose(self, eligible: Bools, rng: np.random.Generator) -> Ints:
        """Positions of the rows that get one kind, at random among ``eligible``."""
        pool = np.flatnonzero(eligible)
        return np.sort(rng.choice(pool, self.target(len(pool)), replace=False))
