"""What transit steps read of a journey: by it a file of rows is known to lack nothing its price depends on.

Somebody who prices rows from elsewhere must know it, because a column left out takes a default: journeys without
cards are not those of one card, and a journey without an exit is not one that ended when it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from tariffs.parameters import Strict
from tariffs.reads import Read, reads
from tariffs.transit import accumulators, bands, discounts, fares, payers, stays, zones
from tariffs.transit.columns import ClassName
from tariffs.transit.conditions import When

UNKNOWN_OF_INCOMPLETE: Final = frozenset(
    {"entry_time", "exit_time", "entry_station", "exit_station", "distance_m", "duration_s"}
)
"""Columns that an incomplete journey cannot have: they may be empty in its row."""

_TIMES: Final = ("entry_time", "exit_time")
_STATIONS: Final = ("entry_station", "exit_station")
_PARTS: Final[Mapping[str, tuple[Read, ...]]] = {
    "classes": reads("card_class"),
    "modes": reads("mode"),
    "lines": reads("line"),
    "operators": reads("operator"),
    "entry_stations": reads("entry_station"),
    "exit_stations": reads("exit_station"),
    "products": (Read(("product",), "known"),),
    "same_station": reads(*_STATIONS),
    "concession_valid": (Read(("concession_last_day",), "known"), Read(_TIMES)),
    "age": (Read(("age",), "known"),),
    "distance_m": reads("distance_m"),
    "duration_s": reads("duration_s"),
    "transfer": reads("transfer"),
    "incomplete": reads("incomplete"),
}
"""What each part of a ``when`` but the timeframe reads."""


@dataclass(frozen=True)
class Look:
    """Columns that are read of the journeys for which all conditions hold and whose class is named."""

    conditions: tuple[When, ...]
    classes: frozenset[str] | None
    """None = of any class."""
    columns: tuple[Read, ...]


def parts_of(when: When) -> Iterator[tuple[When, tuple[Read, ...]]]:
    """Each part of a condition as a condition of its own, with what it reads."""
    for name in When.model_fields:
        value: Any = getattr(when, name)
        if value is not None:
            part = reads(f"{value.at}_time") if name == "timeframe" else _PARTS[name]
            yield When(**{name: value}), part


def looks_of(step: Strict) -> Iterator[Look]:
    """What a step reads, by the journeys it reads it of; nothing for ``apportion``, which changes no price."""
    when: When | None = getattr(step, "when", None)
    whole = () if when is None else (when,)
    match step:
        case accumulators.TransferWindow():
            yield from _transfer(step, whole)
        case accumulators.Cheapest():
            yield Look(whole, None, _counted(step))
            yield Look((*whole, step.reduced), None, ())
        case accumulators.Cap():
            classes, by_class = (None, ()) if step.limits is None else _by_class(step.limits)
            yield Look(whole, classes, (*by_class, *_counted(step)))
        case accumulators.AccumulatingStep():
            yield Look(whole, None, _counted(step))
        case _:
            yield from _stateless(step, whole)


def reads_of(step: Strict) -> Iterator[Read]:
    """Everything a step reads."""
    for look in looks_of(step):
        yield from (read for condition in look.conditions for _, part in parts_of(condition) for read in part)
        yield from look.columns


def _stateless(step: Strict, whole: tuple[When, ...]) -> Iterator[Look]:
    terms: Iterable[str] | None = None
    """Classes with terms of their own."""
    columns: tuple[Read, ...] = ()
    match step:
        case fares.Flat():
            terms = step.classes
        case fares.Gross():
            columns = reads("gross_fare")
        case fares.Lookup() | discounts.ConcessionLookup():
            terms, columns = step.columns, reads(*_STATIONS)
        case zones.Zones():
            terms = None if step.fares is None else step.fares.columns
            # The zones are noted whatever the class: caps ask for them.
            yield Look(whole, None, reads(*_STATIONS))
        case bands.Bands():
            by_class = [band.fares for band in step.bands if isinstance(band, bands.ClassBand)]
            terms, columns = by_class[0] if by_class else step.classes, reads(step.of)
        case stays.DurationBlocks():
            columns = reads("duration_s")
        case stays.TimedBlocks():
            columns = reads(*_TIMES)
        case fares.Surcharge():
            columns = () if step.of is None else reads(step.of)
        case fares.MaxFare():
            columns = reads("incomplete")
            columns += () if step.highest is None else tuple(Read((name,), "known") for name in _STATIONS)
        case zones.Extension():
            columns = (Read(("product",), "known"), *reads(*_STATIONS))
        case discounts.Transfer():
            terms, columns = step.classes, reads("transfer")
        case discounts.Concession() | payers.Split():
            columns = reads("card_class")
        case discounts.Discount() | discounts.Factor() | discounts.Minus() | discounts.Round():
            pass
        case _:
            return
    classes, class_read = _by_class(terms)
    yield Look(whole, classes, (*class_read, *columns))


def _transfer(step: accumulators.TransferWindow, whole: tuple[When, ...]) -> Iterator[Look]:
    classes, class_read = _by_class(["all"] if step.classes == "all" else step.classes)
    between = {"any": (), "other_line": ("line", "mode"), "other_mode": ("mode",)}[step.between]
    yield Look(whole, classes, (*class_read, *reads("card", *between)))
    for legs, end in zip((step.from_legs, step.to_legs), step.measure.split("_to_"), strict=True):
        conditions = whole if isinstance(legs, str) else (*whole, legs)
        yield Look(conditions, classes, reads("entry_time" if end == "departure" else "exit_time"))


def _counted(step: accumulators.AccumulatingStep) -> tuple[Read, ...]:
    """The owner, and when its journeys count: without any times they count in the order of the rows of a day."""
    period: accumulators.Period | None = getattr(step, "period", None)
    from_tap = period is not None and period.rolling_from == "tap"
    return (*reads("card"), Read(_TIMES, always=from_tap))


def _by_class(terms: Iterable[str] | None) -> tuple[frozenset[str] | None, tuple[Read, ...]]:
    """Classes that have terms (None = every class has), and whether it matters which one a journey has."""
    named = frozenset(terms or ("all",))
    if named == {"all"} or named == frozenset(get_args(ClassName)):
        return None, ()
    return None if "all" in named else named, reads("card_class")
