"""Journeys and their prices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Bytes, Codes, Column, Columns, Ints


class CardClass(IntEnum):
    """Fare class of the card holder at the time of the journey (from the register, not the terminal)."""

    ADULT = 0
    STUDENT = 1
    ELDERLY = 2
    DISABLED = 3
    VETERAN = 4
    STAFF = 5
    HALF = 6
    FREE = 7
    NONE = 8
    """A card that takes no discount at all, not even the adult one."""


CLASS_CODES = 256
"""Card classes are uint8, so per-class tables have this length and need no range check."""

ClassName = Literal["adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none"]
"""The classes as tariff files write them."""


@dataclass(frozen=True, eq=False)
class TransitJourneys(Columns):
    """One journey, rental or parking stay per row."""

    mode: Annotated[Bytes, Column(np.uint8, 0)]
    line: Annotated[Ints, Column(np.int64, NULL)]
    entry_station: Annotated[Ints, Column(np.int64, NULL)]
    exit_station: Annotated[Ints, Column(np.int64, NULL)]
    entry_time: Annotated[Ints, Column(np.int64, NULL)]
    exit_time: Annotated[Ints, Column(np.int64, NULL)]
    distance_m: Annotated[Ints, Column(np.int64, NULL)]
    duration_s: Annotated[Ints, Column(np.int64, NULL)]
    card_class: Annotated[Bytes, Column(np.uint8, CardClass.ADULT)]
    transfer: Annotated[Bytes, Column(np.uint8, 0)]
    """1 = this leg is a flagged transfer from an earlier one."""
    gross_fare: Annotated[Ints, Column(np.int64, NULL)]
    """Full fare in fen as the terminal saw it, before any discount."""
    incomplete: Annotated[Bytes, Column(np.uint8, 0)]
    """1 = entry or exit is missing."""
    operator: Annotated[Ints, Column(np.int64, NULL)]
    """Number of the operator that carried the rider."""
    age: Annotated[Ints, Column(np.int64, NULL)]
    """Full years of the holder on the day of the journey, where the register knows them."""
    card: Annotated[Ints, Column(np.int64, 0)]
    """Owner of accumulators; it survives the replacement of a card."""
    sequence: Annotated[Ints, Column(np.int64, 0)]
    """Order of journeys of one card at one time."""
    product: Annotated[Ints, Column(np.int64, NULL)]
    """Number of the fare product (pass) the holder owned at the time of the journey, from the register."""
    counted_at: Annotated[Ints, Column(np.int64, NULL)]
    """When accumulators count the journey, where that is not its own time: a late row carried forward."""
    concession_last_day: Annotated[Ints, Column(np.int64, NULL)]
    """Last day (since 1970) on which the holder's concession is valid, from the register; null = no end."""


class JourneysPart(TransitJourneys):
    """Some rows of journeys; a column is cut out (a slice) or gathered (an index array) when a step first asks."""

    def __init__(self, whole: TransitJourneys, rows: slice | Ints) -> None:
        vars(self).update(_whole=whole, _rows=rows)

    def __len__(self) -> int:
        return len(self.mode)

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        """Called for a column not cut out yet; read-only, so that kernels meet one set of types."""
        if name not in TransitJourneys.SPECS:
            raise AttributeError(name)
        column: npt.NDArray[Any] = getattr(self._whole, name)[self._rows]
        column.flags.writeable = False
        vars(self)[name] = column
        return column


@dataclass(frozen=True, eq=False)
class TransitPrices(Columns):
    """Answer per journey; on priced rows gross = card_pays + fund_pays + operator_bears, else all are 0."""

    gross: Annotated[Ints, Column(np.int64)]
    card_pays: Annotated[Ints, Column(np.int64)]
    fund_pays: Annotated[Ints, Column(np.int64)]
    fund: Annotated[Codes, Column(np.uint16)]
    """Code of the fund behind ``fund_pays``; 0 = none."""
    operator_bears: Annotated[Ints, Column(np.int64)]
    rule: Annotated[Codes, Column(np.uint16)]
    """The last rule that set what the card pays; its name is ``compiled.rule_names[rule]``."""
    segment: Annotated[Codes, Column(np.uint16)]
    """Index of the dated segment of the tariff that priced the row."""
    priced: Annotated[Bools, Column(np.bool_)]
    """False = the tariff does not cover the row."""
