"""Plain-Python twin of the steps that remember: one journey at a time, dates and fractions.

It reads the validated steps of each segment, never the compiled arrays, and shares no arithmetic with the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

CLASSES = ("adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NULL = -(2**63)
ACCUMULATING = ("transfer_window", "pass", "cumulative", "cap")


@dataclass
class Leg:
    """A journey as the steps that remember see it; ``fare`` changes on the way."""

    row: Mapping[str, int]
    time: int
    entry: int
    exit: int
    day: date
    gross: int
    fare: int
    first_fare: int
    transferred: bool = False
    rule: str = ""
    zones: tuple[int, int] = (-1, -1)

    @property
    def card_class(self) -> str:
        return CLASSES[self.row["card_class"]]


@dataclass
class Memory:
    """What one accumulator of one card holds."""

    period: object = None
    start: Any = None
    total: int = 0
    before: int = 0
    zones: tuple[int, int] | None = None
    days: set[date] = field(default_factory=set)
    window: dict[str, Any] | None = None


def rounded(value: Fraction, mode: str) -> int:
    """``value`` ≥ 0 as an integer, by the named rounding."""
    whole = math.floor(value)
    rest = value - whole
    if mode == "half_even":
        return round(value)
    return whole + {"down": False, "up": rest > 0, "half_up": rest >= Fraction(1, 2)}[mode]


def price_legs(
    segments: Sequence[tuple[date, date, Sequence[tuple[str, Any]]]],
    day_starts: int,
    week_starts: str,
    rows: Iterable[Mapping[str, int]],
    tables: Mapping[str, Any],
) -> dict[int, tuple[int, str]]:
    """What each row's card pays and the rule behind it ('' = none that remembers), by row number.

    The tariffs of the tests take the terminal's fare; 'none' pays in full and is closed (final), 'student'
    pays half and stays open.
    """
    memories: dict[tuple[int, str], Memory] = {}
    answers: dict[int, tuple[int, str]] = {}
    ordered = sorted(enumerate(rows), key=lambda item: (item[1]["card"], _counted(item[1]), item[1]["sequence"]))
    for number, row in ordered:
        own = _own_time(row)
        day = (datetime(1970, 1, 1) + timedelta(seconds=own - day_starts)).date()
        steps = next((s for first, last, s in segments if first <= day <= last), None)
        if steps is None:
            continue
        fare = rounded(Fraction(row["gross_fare"], 2), "half_up") if row["card_class"] == 1 else row["gross_fare"]
        if row["card_class"] == 8:
            answers[number] = (fare, "")
            continue
        leg = _leg(row, day, fare, day_starts)
        _price(leg, steps, memories, week_starts, tables)
        answers[number] = (leg.fare, leg.rule)
    return answers


def _own_time(row: Mapping[str, int]) -> int:
    return row["exit_time"] if row["entry_time"] == NULL else row["entry_time"]


def _counted(row: Mapping[str, int]) -> int:
    return _own_time(row) if row["counted_at"] == NULL else row["counted_at"]


def _leg(row: Mapping[str, int], day: date, fare: int, day_starts: int) -> Leg:
    entry = row["exit_time"] if row["entry_time"] == NULL else row["entry_time"]
    exit_ = row["entry_time"] if row["exit_time"] == NULL else row["exit_time"]
    time = entry
    if row["counted_at"] != NULL:
        time = entry = exit_ = row["counted_at"]
        day = (datetime(1970, 1, 1) + timedelta(seconds=time - day_starts)).date()
    # The tests number stations by their zones.
    ends = sorted((row["entry_station"], row["exit_station"]))
    zones = (-1, -1) if NULL in ends else (ends[0], ends[1])
    return Leg(row, time, entry, exit_, day, row["gross_fare"], fare, fare, zones=zones)


def _price(
    leg: Leg,
    steps: Sequence[tuple[str, Any]],
    memories: dict[tuple[int, str], Memory],
    week_starts: str,
    tables: Mapping[str, Any],
) -> None:
    met: list[tuple[str, Any, Memory]] = []
    for name, step in steps:
        if name not in ACCUMULATING or not matches(step.when, leg.row):
            continue
        memory = memories.setdefault((leg.row["card"], step.name), Memory())
        before = leg.fare
        decided = False
        if name == "transfer_window":
            decided = _transfer(step, memory, leg)
        else:
            _enter(step.period, memory, leg, week_starts)
            if name == "cap":
                _cap(step, memory, leg, tables)
            elif name == "cumulative":
                _cumulative(step, memory, leg)
            else:
                decided = _pass(step, memory, leg)
            met.append((name, step, memory))
        if decided or leg.fare != before:
            leg.rule = f"{name}.{step.name}"
    for name, step, memory in met:
        if name == "cap":
            memory.total += leg.fare
        elif name == "cumulative" and step.basis == "journeys":
            if leg.first_fare > 0 and not leg.transferred:
                memory.before = memory.total
                memory.total += 1
        elif name == "cumulative":
            memory.total += leg.gross if step.basis == "gross" else leg.fare


def matches(when: Any, row: Mapping[str, int]) -> bool:
    """Whether a row meets the conditions the tests use: classes, modes, lines, products."""
    if when is None or when == "all":
        return True
    asked = {"modes": row["mode"], "lines": row["line"], "products": row["product"]}
    asked["classes"] = CLASSES[row["card_class"]]  # type: ignore[assignment]
    return all(value in getattr(when, name) for name, value in asked.items() if getattr(when, name) is not None)


def _enter(period: Any, memory: Memory, leg: Leg, week_starts: str) -> None:
    kind = (period.unit, period.days, period.rolling_from)
    key: Any = None
    match period.unit:
        case "day":
            key = leg.day
        case "week":
            key = leg.day - timedelta(days=(leg.day.weekday() - WEEKDAYS.index(week_starts)) % 7)
        case "calendar_month":
            key = (leg.day.year, leg.day.month)
        case "calendar_year":
            key = leg.day.year
    if period.unit == "rolling":
        now: Any = leg.day if period.rolling_from == "day" else leg.time
        length: Any = timedelta(days=period.days) if period.rolling_from == "day" else period.days * 86_400
        if memory.period == kind and now < memory.start + length:
            return
        key = now
    elif memory.period == kind and memory.start == key:
        return
    memory.__init__(period=kind, start=key)  # type: ignore[misc]


def _transfer(step: Any, memory: Memory, leg: Leg) -> bool:
    if leg.card_class not in step.classes or leg.fare == 0:
        return False
    since, until = (leg.entry if part == "departure" else leg.exit for part in step.measure.split("_to_"))
    origin, window = matches(step.from_legs, leg.row), memory.window
    if not matches(step.to_legs, leg.row) or window is None or not _in_window(step, window, leg, until):
        if origin:
            memory.window = {"since": since, "high": leg.fare, "count": 0, "class": leg.card_class}
            memory.window |= {"line": leg.row["line"], "mode": leg.row["mode"]}
        return False
    steps_up = leg.fare > window["high"]
    fare = leg.fare
    if step.pay == "free":
        leg.fare = 0
    elif step.pay == "difference":
        leg.fare = max(0, fare - window["high"])
    elif step.pay == "minus":
        leg.fare = min(fare, max(fare - step.minus, step.floor))
    else:
        leg.fare = rounded(Fraction(fare * step.per_10000, 10_000), step.rounding)
    window["high"] = max(window["high"], fare)
    window["count"] += 1
    if origin:
        window |= {"line": leg.row["line"], "mode": leg.row["mode"]}
        if step.from_tap == "last" or (step.extend_on_step_up and steps_up):
            window["since"] = since
    leg.transferred = True
    return True


def _in_window(step: Any, window: Mapping[str, Any], leg: Leg, until: int) -> bool:
    passed = until - window["since"]
    same_line = (window["line"], window["mode"]) == (leg.row["line"], leg.row["mode"])
    return (
        window["class"] == leg.card_class
        and passed >= 0
        and (passed < step.window_s or (step.inclusive and passed == step.window_s))
        and (step.transfers_at_most == "unlimited" or window["count"] < step.transfers_at_most)
        and not (step.between == "other_line" and same_line)
        and not (step.between == "other_mode" and window["mode"] == leg.row["mode"])
    )


def _cap(step: Any, memory: Memory, leg: Leg, tables: Mapping[str, Any]) -> None:
    if step.limits is not None:
        limit = step.limits.get(leg.card_class, step.limits.get("all"))
    else:
        column = step.by_zones.columns.get(leg.card_class, step.by_zones.columns.get("all"))
        if column is None:
            return
        low, high = leg.zones
        if low >= 0:
            held = memory.zones or (low, high)
            memory.zones = (min(held[0], low), max(held[1], high))
        table = tables[step.by_zones.table]
        ranges = zip(table.column("zone_low").tolist(), table.column("zone_high").tolist(), strict=True)
        limit = dict(zip(ranges, table.column(column).tolist(), strict=True)).get(memory.zones)
    if limit is None:
        return
    room = max(0, limit - memory.total)
    leg.fare = (leg.fare if room else 0) if step.capping_ride == "full_fare" else min(leg.fare, room)


def _cumulative(step: Any, memory: Memory, leg: Leg) -> None:
    counted = memory.before if step.basis == "journeys" and leg.transferred else memory.total
    edges = [band.start for band in step.bands]
    ratios = [Fraction(band.per_10000, 10_000) for band in step.bands]
    band = max(i for i, edge in enumerate(edges) if edge <= counted)
    if step.mode == "next_ride":
        value = leg.fare * ratios[band]
    elif step.basis == "gross":
        if leg.gross == 0:
            return
        inside = [
            max(0, min(end, counted + leg.gross) - max(edge, counted))
            for edge, end in zip(edges, [*edges[1:], 10**18], strict=True)
        ]
        value = Fraction(leg.fare, leg.gross) * sum(r * part for r, part in zip(ratios, inside, strict=True))
    else:
        paid, rest = 0, leg.fare
        for index in range(band, len(edges)):
            room = edges[index + 1] - counted - paid if index + 1 < len(edges) else None
            if room is None or ratios[index] == 0 or rounded(room / ratios[index], step.rounding) > rest:
                paid += rounded(rest * ratios[index], step.rounding)
                break
            rest -= rounded(room / ratios[index], step.rounding)
            paid += room
        value = Fraction(paid)
    leg.fare = min(leg.fare, rounded(value / step.to, step.rounding) * step.to)


def _pass(step: Any, memory: Memory, leg: Leg) -> bool:
    if step.quota != "unlimited" and step.quota.rides is not None:
        if memory.total >= step.quota.rides:
            return False
        memory.total += 1
    elif step.quota != "unlimited":
        if leg.day not in memory.days and len(memory.days) >= step.quota.days:
            return False
        memory.days.add(leg.day)
    leg.fare = rounded(Fraction(leg.fare * step.per_10000, 10_000), step.rounding)
    return True
