"""The chunk of journeys that transit steps work on, and what a transit step is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tariffs.columns import Bools, Codes, Ints
from tariffs.parameters import Context, Strict
from tariffs.transit.columns import CardClass, TransitJourneys, TransitPrices

Scalar = TypeVar("Scalar", bound=np.generic)

CLASS_CODES = 256
"""Card classes are uint8, so per-class tables have this length and need no range check."""

ClassName = Literal["adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none"]


class Phase(IntEnum):
    """Where in the evaluation of a journey a step stands; a file lists its steps in this order."""

    GROSS = 0
    CARD = 1
    PAYERS = 2


@dataclass(frozen=True)
class Chunk:
    """A cache-sized run of journeys with the answer columns the steps fill in, all views of equal length."""

    journeys: TransitJourneys
    card_class: Ints
    """Class codes widened to int64: numpy gathers by int64 without converting the indices each time."""
    gross: Ints
    fare: Ints
    """What the card pays so far."""
    conceded: Ints
    """How much of gross − fare is a concession (and not an ordinary discount); scratch."""
    fund_pays: Ints
    fund: Codes
    operator_bears: Ints
    rule: Codes
    priced: Bools
    open: Bools
    """Rows that still take discounts; scratch."""

    @classmethod
    def over(cls, journeys: TransitJourneys, prices: TransitPrices, rows: slice) -> Self:
        """The chunk of ``rows``; ``prices`` must hold zeros there."""
        taken = journeys.take(rows)
        return cls(
            journeys=taken,
            card_class=taken.card_class.astype(np.int64),
            gross=prices.gross[rows],
            fare=prices.card_pays[rows],
            conceded=np.zeros(len(taken), np.int64),
            fund_pays=prices.fund_pays[rows],
            fund=prices.fund[rows],
            operator_bears=prices.operator_bears[rows],
            rule=prices.rule[rows],
            priced=prices.priced[rows],
            open=np.ones(len(taken), np.bool_),
        )

    def of_class(self, table: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """The cell of a per-class table for each row; a copy."""
        # Every class code is a valid index, so clipping only spares numpy its bounds check.
        cells: npt.NDArray[Scalar] = table.take(self.card_class, mode="clip")
        return cells

    def unpriced(self, rows: Bools, classes: Bools | None) -> Bools:
        """Those of ``rows`` that no step has given a fare and whose class is in the mask (None = any)."""
        chosen = rows & ~self.priced
        if classes is not None:
            chosen &= self.of_class(classes)
        return chosen

    def set_gross(self, rows: Bools, fare: npt.ArrayLike, rule: npt.ArrayLike) -> None:
        """Give ``rows`` their full fare."""
        put(self.gross, rows, fare)
        put(self.rule, rows, rule)
        np.logical_or(self.priced, rows, out=self.priced)

    def charge_gross(self) -> None:
        """Let the card pay the full fare, until a discount says otherwise."""
        np.copyto(self.fare, self.gross)

    def set_fare(self, rows: Bools, fare: npt.ArrayLike, rule: int | Codes) -> None:
        """Let the card pay ``fare`` on ``rows``."""
        put(self.fare, rows, fare)
        put(self.rule, rows, rule)


class Operation(Protocol):
    """A compiled transit step."""

    def apply(self, chunk: Chunk) -> None:
        """Change the chunk's answer columns in place."""


class TransitStep(Strict, ABC):
    """Parameters of a transit step, as they stand in the file."""

    phase: ClassVar[Phase]

    @abstractmethod
    def compile(self, context: Context) -> Operation:
        """Turn parameters into arrays; ParameterError when they do not fit the tables or each other."""


def class_mask(classes: list[ClassName] | None) -> Bools | None:
    """Look-up table over card class codes, shape (256,): which of them the step is for; None = all."""
    if classes is None:
        return None
    mask = np.zeros(CLASS_CODES, np.bool_)
    for name in classes:
        mask[CardClass[name.upper()]] = True
    return mask


def put(column: npt.NDArray[Scalar], rows: Bools, value: npt.ArrayLike) -> None:
    """``column[rows] = value[rows]`` in place; ``value`` is a scalar or as long as ``column``."""
    # Measured on scattered rows: 1.5 ns a row, np.copyto(where=) and boolean indexing 4 to 5 ns.
    column[:] = np.where(rows, value, column)
