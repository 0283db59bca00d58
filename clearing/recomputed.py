"""What a recomputation says of rows: amounts to compare, the deciding rule, and why a row is not compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from card_io.records import Columns
from clearing.pricing import Answer, StepTaken

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Uncovered(StrEnum):
    """Why a settlement or bill is not compared with a tariff."""

    NO_TARIFF = "no_tariff"
    OUTSIDE = "outside"
    LACKS = "lacks"
    NO_TERMS = "no_terms"
    BEHIND = "behind"


_COVERED: Final = ""


@dataclass(frozen=True, slots=True)
class Lacking:
    """Per row the reason why it cannot be compared, and the record column it lacks; empty where it can."""

    reason: npt.NDArray[np.object_]
    column: npt.NDArray[np.object_]

    @classmethod
    def of(cls, rows: int) -> Lacking:
        """``rows`` rows that lack nothing so far."""
        return cls(np.full(rows, _COVERED, np.object_), np.full(rows, "", np.object_))

    @property
    def rows(self) -> Bools:
        """bool[n]: the row is not compared."""
        return np.asarray(self.reason != _COVERED, np.bool_)

    def note(self, lacks: Bools, column: str) -> None:
        """Rows that lack a column; the first one noted is named."""
        self._set(lacks, Uncovered.LACKS)
        self.column[lacks & (self.reason == Uncovered.LACKS) & (self.column == "")] = column

    def with_answer(self, answer: Answer) -> Lacking:
        """With what the tariff says of the rows, row by row."""
        return self.with_segments(answer.segment, answer.priced, answer.sound)

    def with_segments(self, segment: Ints, priced: Bools, sound: Bools) -> Lacking:
        """With days outside the published ones, rows without terms, and rows behind one that is not known."""
        both = Lacking(self.reason.copy(), self.column.copy())
        both._set(segment < 0, Uncovered.OUTSIDE)
        both._set(~priced, Uncovered.NO_TERMS)
        both._set(~sound, Uncovered.BEHIND)
        return both

    def reason_of(self, row: int) -> str:
        """Reason and column of one row as text, empty where it is compared."""
        return f"{self.reason[row]} {self.column[row]}".strip()

    def _set(self, rows: Bools, reason: Uncovered) -> None:
        self.reason[rows & ~self.rows] = str(reason)


@dataclass(frozen=True, slots=True)
class Found:
    """Amounts by the tariff under the record's own names, the rule of each row, and what is not compared."""

    amounts: Columns
    rule: npt.NDArray[np.object_]
    lacking: Lacking


@dataclass(frozen=True, slots=True)
class StepsTaken:
    """How a tariff gets to its answer for one row; without steps ``uncovered`` says why."""

    tariff: str
    segment: int
    rule: str
    steps: tuple[StepTaken, ...]
    uncovered: str
