"""Edges of what a tariff remembers: one journey again and again until a cap or pass decides, and past its period.

No single event has such an edge: it lies between two journeys of a card. The journey is the first of the file's
examples that leads there, on as many days of the period and as often a day as it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from tariffs.transit.accumulators import AccumulatingStep, Pass, Period, TransferWindow
from tariffs.written import day_number

EVENTS_MAX: Final = 12
"""Examples that are tried as the journey."""

CHANGES_MAX: Final = 8
"""Changes of one run that are shown."""

_A_DAY: Final = (1, 2, 4, 8, 16, 32)
_DAY_S: Final = 86_400
_TIMES: Final = ("entry_time", "exit_time")
_OWN: Final = ("card", "sequence")

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
    """Journeys until a step has decided (and ceased to), then in its period's last second and the next's first."""

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
    scenarios = sorted(scenarios_of(tariff), key=lambda each: len(each.history))
    found: dict[object, Run | None] = {}
    for segment in tariff.segments:
        own = _journeys(each for each in scenarios if segment.first <= each.day <= segment.last)
        for key, step in segment.steps:
            period: Period | None = getattr(step, "period", None)
            if not own or not isinstance(step, AccumulatingStep) or period is None:
                continue
            if found.get((key, step.model_dump_json())) is None:
                terms = _Terms(tariff, segment, period, f"{key}.{step.name}", step_label(key, step))
                used_up = isinstance(step, Pass) and step.quota != "unlimited"
                found[key, step.model_dump_json()] = _shortest(terms, own, used_up)
    return [run for run in found.values() if run is not None]


def _journeys(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """The first of the events that differ only in their times and owners."""
    found: dict[object, Scenario] = {}
    for each in scenarios:
        journey = tuple((name, value) for name, value in each.event.items() if name not in (*_TIMES, *_OWN))
        found.setdefault(journey, each)
    return list(found.values())[:EVENTS_MAX]


def run_document(run: Run) -> dict[str, object]:
    """A run as plain values; its rows are the events before."""
    return {"step": run.step, "journey": dict(run.event), "met": [vars(met) for met in run.met]}


def counted_time(row: Row) -> int:
    """When a journey counts, local seconds."""
    return row["entry_time"] if row.get("entry_time", NULL) != NULL else row["exit_time"]


@dataclass(frozen=True)
class _Terms:
    """A remembering step on the days of a segment."""

    tariff: Tariff
    segment: Segment
    period: Period
    rule: str
    label: str


def _shortest(terms: _Terms, events: Sequence[Scenario], used_up: bool) -> Run | None:
    """The run with the fewest journeys a day in which the step decides, and ceases to where it can be used up."""
    best: Run | None = None
    for a_day in _A_DAY:
        for event in events:
            run, ended = _run(terms, event, a_day)
            if run is not None and (ended or not used_up):
                return run
            best = best or run
    return best


def _run(terms: _Terms, scenario: Scenario, a_day: int) -> tuple[Run | None, bool]:
    """The run of one journey, and whether the rule ceases in it; None where it never decides."""
    tariff, segment, period = terms.tariff, terms.segment, terms.period
    event = {name: value for name, value in scenario.event.items() if name not in _OWN}
    event.setdefault("entry_time", NULL)
    if all(event.get(name, NULL) == NULL for name in _TIMES):
        event["entry_time"] = day_number(scenario.day) * _DAY_S + _DAY_S // 2
    first, end = _bounds(tariff, scenario.day, period)
    own = counted_time(event) - day_number(scenario.day) * _DAY_S
    wait = _spacing(tariff, segment, own, a_day)
    days = [day_number(day) * _DAY_S + own for day in _days(first, end) if segment.first <= day <= segment.last]
    rows = [_at(event, moment + turn * wait) for moment in days for turn in range(a_day)]
    priced = _price(tariff, rows)
    decides = [_rule(priced, at) == terms.rule for at in range(len(rows))]
    if True not in decides:
        return None, False
    began = decides.index(True)
    changes = [at for at in range(began, len(rows)) if at == began or _changed(priced, decides, at)][:CHANGES_MAX]
    kept = rows[: changes[-1] + 2]
    closes = day_number(end) * _DAY_S + tariff.clock.day_starts_s
    if period.rolling_from == "tap":
        closes = counted_time(rows[0]) + (period.days or 0) * _DAY_S
    around = {at + step for at in changes for step in (-1, 0, 1)}
    shown = [*(at for at in range(len(kept)) if at in around), len(kept), len(kept) + 1]
    kept += [_at(event, closes - 1), _at(event, closes)]
    answers = _price(tariff, kept)
    met = tuple(_met(kept, answers, at) for at in shown)
    journey = {name: value for name, value in event.items() if name not in _TIMES}
    return Run(terms.label, journey, tuple(kept), met), False in decides[began:]


def _changed(priced: Priced, decides: Sequence[bool], at: int) -> bool:
    """Whether a journey of one full price pays otherwise than the one before, or by another rule."""
    gross, paid = priced.amounts["gross"], priced.amounts["card_pays"]
    return decides[at] != decides[at - 1] or (bool(gross[at] == gross[at - 1]) and bool(paid[at] != paid[at - 1]))


def _met(rows: Sequence[Row], answers: Priced, at: int) -> Met:
    amounts = {name: int(values[at]) for name, values in answers.amounts.items()}
    return Met(at + 1, rows[at], amounts, answers.rule_of(at), bool(answers.priced[at]))


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
    return {name: value + moved if name in _TIMES and value != NULL else value for name, value in event.items()}


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
