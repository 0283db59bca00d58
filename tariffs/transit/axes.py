"""What a dated segment's price depends on: the axes of a table that holds its every price.

A terminal that looks fares up needs such a table. A segment whose price depends on anything else than class,
transfer flag, line, station pair and one measured quantity has none, and the reason is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tariffs.parameters import Strict
from tariffs.tariff import Tariff
from tariffs.transit import discounts, fares, payers
from tariffs.transit.accumulators import AccumulatingStep
from tariffs.transit.apportion import Apportion
from tariffs.transit.bands import Bands
from tariffs.transit.conditions import When
from tariffs.transit.stays import DurationBlocks
from tariffs.transit.zones import Zones

_OF_CLASS_AND_TRANSFER: Final = (
    fares.Flat,
    fares.MaxFare,
    discounts.Concession,
    discounts.Discount,
    discounts.Factor,
    discounts.Minus,
    discounts.Transfer,
    discounts.Round,
    payers.Split,
    Apportion,
)
"""Steps that read only what is charged so far, the class, the transfer flag and whether both ends are known."""

_OFF_THE_TABLE: Final = ("timeframe", "age", "products", "operators", "concession_valid")
"""Conditions on what a table has no axis for."""


@dataclass(frozen=True)
class Axes:
    """Stations and lines the steps name (sorted), and what they measure (``distance_m`` or ``duration_s``)."""

    stations: tuple[int, ...]
    lines: tuple[int, ...]
    quantity: str | None


class NoTableError(Exception):
    """A price of the segment depends on something no table has an axis for; the text names the step."""


def axes_of(tariff: Tariff, segment: int) -> Axes:
    """The axes of one dated segment of a transit tariff.

    Raises:
        NoTableError: the segment remembers journeys, looks at the clock, or reads a meter.
    """
    stations: set[int] = set()
    lines: set[int] = set()
    quantities: set[str] = set()
    for name, step in tariff.segments[segment].steps:
        for table, columns in _tables(name, step):
            for column in columns:
                stations.update(tariff.tables[table].column(column).tolist())
        quantities |= _measured(step)
        when: When | None = getattr(step, "when", None)
        if when is not None:
            if asked := [each for each in _OFF_THE_TABLE if getattr(when, each) is not None]:
                raise NoTableError(f"step {name} depends on {', '.join(asked)}")
            lines.update(when.lines or ())
            stations.update([*(when.entry_stations or ()), *(when.exit_stations or ())])
            quantities |= {each for each in ("distance_m", "duration_s") if getattr(when, each) is not None}
    if "gross_fare" in quantities or len(quantities) > 1 or (quantities and stations):
        raise NoTableError(f"the price depends on {' and '.join(sorted(quantities))} and more")
    return Axes(tuple(sorted(stations)), tuple(sorted(lines)), next(iter(quantities), None))


def _tables(name: str, step: Strict) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(table, columns of stations) that a step looks stations up in."""
    match step:
        case fares.Lookup() | discounts.ConcessionLookup():
            yield step.table, ("entry", "exit")
        case Zones():
            if step.zone_of is not None:
                yield step.zone_of, ("station",)
            if step.zones_between is not None:
                yield step.zones_between.table, ("entry", "exit")
        case Bands() | DurationBlocks() | fares.Surcharge():
            pass
        case fares.Gross():
            raise NoTableError(f"step {name} reads the terminal's meter")
        case AccumulatingStep():
            raise NoTableError(f"step {name} remembers what a card did before")
        case _ if not isinstance(step, _OF_CLASS_AND_TRANSFER):
            raise NoTableError(f"step {name} has no axis")


def _measured(step: Strict) -> set[str]:
    match step:
        case DurationBlocks():
            return {"duration_s"}
        case Bands():
            return {step.of}
        case fares.Surcharge():
            return {step.of} if step.of is not None else set()
        case _:
            return set()
