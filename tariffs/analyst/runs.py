"""Edges of what a tariff remembers: one journey again and again until a cap (pass, scale) decides, and past its period.

No single event has such an edge: it lies between two journeys of a card. The journey is the first of the file's
examples that leads there, on as many days of the period and as often a day as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from tariffs.analyst.rows import assemble
from tariffs.analyst.scenarios import Scenario, scenarios_of
from tariffs.analyst.services import SERVICES, Priced, price_rows
from tariffs.columns import NULL, Ints
from tariffs.schema import WEEKDAYS
from tariffs.tariff import Segment, Tariff
from tariffs.trace import step_label
from tariffs.transit.accumulators import AccumulatingStep, Period, TransferWindow
from tariffs.written import day_number

EVENTS_MAX: Final = 12
"""Examples that are tried as the journey."""

_A_DAY: Final = (1, 2, 4, 8, 16, 32)
_DAY_S: Final = 86_400
_TIMES: Final = ("entry_time", "exit_time")

Row = Mapping[str, int]


@dataclass(frozen=True)
class Met:
    """One journey of a run and what it costs."""

    number: int
    """Which journey of the run it is, from 1."""
    row: Row
    amounts: Mapping[str, int]
    rule: str
    priced: bool


@dataclass(frozen=True)
class Run:
    """The journeys up to the one that a step decides first, the last second of its period and the next one's first."""

    step: str
    event: Row
    """The journey without its times."""
    rows: tuple[Row, ...]
    met: tuple[Met, ...]
    """The journeys on both sides of the edge and of the end of the period."""


def runs_of(tariff: Tariff) -> list[Run]:
    """One run for each remembering step with a period that some example leads to; none for other kinds of tariff."""
    if tariff.kind != "transit":
        return []
    events = [scenario for scenario in scenarios_of(tariff) if not scenario.history]
    found: dict[object, Run | None] = {}
    for segment in tariff.segments:
        own = [event for event in events if segment.first <= event.day <= segment.last][:EVENTS_MAX]
        for key, step in segment.steps:
            period: Period | None = getattr(step, "period", None)
            if not own or not isinstance(step, AccumulatingStep) or period is None:
                continue
            if found.get((key, step.model_dump_json())) is None:
                rule = f"{key}.{step.name}"
                tries = (_run(tariff, segment, event, period, a_day, rule) for a_day in _A_DAY for event in own)
                met = next((each for each in tries if each is not None), None)
                found[key, step.model_dump_json()] = met and Run(step_label(key, step), *met)
    return [run for run in found.values() if run is not None]


def run_document(run: Run) -> dict[str, object]:
    """A run as plain values; its rows are the events before."""
    return {"step": run.step, "journey": dict(run.event), "met": [vars(met) for met in run.met]}


def counted_time(row: Row) -> int:
    """When a journey counts, local seconds."""
    return row["entry_time"] if row.get("entry_time", NULL) != NULL else row["exit_time"]


def _run(
    tariff: Tariff, segment: Segment, scenario: Scenario, period: Period, a_day: int, rule: str
) -> tuple[Row, tuple[Row, ...], tuple[Met, ...]] | None:
    """Journey, rows and the journeys to show; None where the rule never decides."""
    event = {name: value for name, value in scenario.event.items() if name not in ("card", "sequence")}
    event.setdefault("entry_time", NULL)
    if all(event.get(name, NULL) == NULL for name in _TIMES):
        event["entry_time"] = day_number(scenario.day) * _DAY_S + _DAY_S // 2
    first, end = _bounds(tariff, scenario.day, period)
    days = [day for day in _days(first, end) if segment.first <= day <= segment.last]
    own = counted_time(event) - day_number(scenario.day) * _DAY_S
    wait = _spacing(tariff, segment, own, a_day)
    rows = [
        _at(event, day_number(day) * _DAY_S + own + turn * wait) for day in days for turn in range(a_day)
    ]
    if not rows:
        return None
    priced = _price(tariff, rows)
    decided = next((at for at in range(len(rows)) if _rule(priced, at) == rule), None)
    if decided is None:
        return None
    kept = rows[: decided + 2]
    closes = day_number(end) * _DAY_S + tariff.clock.day_starts_s
    if period.rolling_from == "tap":
        closes = counted_time(rows[0]) + (period.days or 0) * _DAY_S
    shown = [*range(max(decided - 1, 0), len(kept)), len(kept), len(kept) + 1]
    kept += [_at(event, closes - 1), _at(event, closes)]
    answers = _price(tariff, kept)
    met = tuple(
        Met(
            at + 1,
            kept[at],
            {name: int(values[at]) for name, values in answers.amounts.items()},
            answers.rule_of(at),
            bool(answers.priced[at]),
        )
        for at in shown
    )
    return {name: value for name, value in event.items() if name not in _TIMES}, tuple(kept), met


def _rule(priced: Priced, row: int) -> str:
    """Name of the rule that decided a row, without the label."""
    return priced.rule_of(row).rsplit(": ", 1)[-1]


def _price(tariff: Tariff, rows: Sequence[Row]) -> Priced:
    given: dict[str, Ints] = {name: np.array([row[name] for row in rows], np.int64) for name in rows[0]}
    dated = assemble(tariff, len(rows), {SERVICES[tariff.kind].owner: np.ones(len(rows), np.int64), **given})
    return price_rows(tariff, dated.rows, dated.day)


def _at(event: Row, time: int) -> Row:
    """The journey at another time, as long as it was."""
    moved = time - counted_time(event)
    return {
        name: value + moved if name in _TIMES and value != NULL else value for name, value in event.items()
    }


def _spacing(tariff: Tariff, segment: Segment, own: int, a_day: int) -> int:
    """Seconds between the journeys of a day: beyond every transfer window if the day is long enough."""
    windows = [step.window_s for _, step in segment.steps if isinstance(step, TransferWindow)]
    left = tariff.clock.day_starts_s + _DAY_S - own
    return min(max([3600, *(window + 1 for window in windows)]), left // a_day)


def _bounds(tariff: Tariff, day: date, period: Period) -> tuple[date, date]:
    """First day of the period of a day, and the first day behind it."""
    if period.unit == "week":
        first = day - timedelta(days=(day.weekday() - WEEKDAYS.index(tariff.clock.week_starts)) % 7)
        return first, first + timedelta(days=7)
    if period.unit == "calendar_month":
        return day.replace(day=1), (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    if period.unit == "calendar_year":
        return date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return day, day + timedelta(days=period.days or 1)


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((end - first).days))
