"""The worked examples of a file as starting points: one event, what its owner did before, and variations of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from tariffs.analyst.rows import DATE, assemble, days_of
from tariffs.analyst.services import SERVICES, Priced, price_rows, remembers
from tariffs.columns import NULL, Ints
from tariffs.tariff import Tariff
from tariffs.written import day_number, day_of, read_cell

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Scenario:
    """An event on a day, behind the earlier events of the same example (none where events do not depend on them)."""

    name: str
    day: date
    history: tuple[Mapping[str, int], ...]
    event: Mapping[str, int]

    @property
    def rows(self) -> tuple[Mapping[str, int], ...]:
        """History and event."""
        return (*self.history, self.event)


def scenarios_of(tariff: Tariff) -> list[Scenario]:
    """One scenario per different row of the inline tests, in their order.

    Of the same ride again and again (a month towards a cap) only the first and the last are starting points.
    """
    scenarios: dict[object, Scenario] = {}
    for test in tariff.tests:
        rows = [{name: read_cell(name, value) for name, value in row.items()} for row in test.rows]
        alike = [_without_times(row) for row in rows]
        for index, event in enumerate(rows):
            if alike[index] in alike[:index] and alike[index] in alike[index + 1 :]:
                continue
            history = _before(tariff, rows[:index], event) if remembers(tariff) else ()
            day = _own_day(tariff, event, test.date)
            key = (day, tuple(tuple(row.items()) for row in (*history, event)))
            scenarios.setdefault(key, Scenario(test.name, day, history, event))
    return list(scenarios.values())


def _before(
    tariff: Tariff, rows: Sequence[Mapping[str, int]], event: Mapping[str, int]
) -> tuple[Mapping[str, int], ...]:
    """Earlier rows of an example that have the event's owner, or one they share."""
    service = SERVICES[tariff.kind]
    owners = (service.owner, *(name for name in service.shared if name in event))
    return tuple(row for row in rows if any(row.get(name) == event.get(name) for name in owners))


def _without_times(row: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in row.items() if not name.endswith("_time")}


def _own_day(tariff: Tariff, event: Mapping[str, int], tested: date) -> date:
    """The operating day of an event with a time, else the day of its example."""
    one = {name: np.array([value], np.int64) for name, value in event.items() if name.endswith("_time")}
    return day_of(int(days_of(tariff, 1, one, tested)[0]))


def vary(tariff: Tariff, scenario: Scenario, column: str, values: Ints) -> dict[str, Ints]:
    """The scenario's rows once for each of ``values``, that being ``column`` of the event, as columns.

    :data:`DATE` moves the whole scenario, times and all; a moved entry takes its exit along. Every variation is
    an owner of its own, so that none is history to another.
    """
    service = SERVICES[tariff.kind]
    rows, times = scenario.rows, len(values)
    names = dict.fromkeys(name for row in rows for name in row)
    given = {name: np.tile(np.array([row.get(name, NULL) for row in rows], np.int64), times) for name in names}
    first = day_number(scenario.day)
    given[DATE] = np.full(len(rows) * times, first, np.int64)
    if column == DATE:
        days = np.repeat(values - first, len(rows))
        for name in given:
            if name == DATE or name == service.day:
                given[name] += days
            elif name.endswith("_time"):
                given[name] += np.where(given[name] == NULL, 0, days * _SECONDS_PER_DAY)
    else:
        event = np.arange(times) * len(rows) + len(rows) - 1
        if column == "entry_time" and "exit_time" in given:
            exits = given["exit_time"][event]
            given["exit_time"][event] = np.where(exits == NULL, NULL, exits + values - given[column][event])
        given[column][event] = values
    for owner in (service.owner, *(shared for shared in service.shared if shared in given)):
        given[owner] = _owners(rows, owner, times)
    given.setdefault("sequence", np.tile(np.arange(len(rows)), times))
    return given


def price_variations(tariff: Tariff, scenario: Scenario, column: str, values: Ints) -> Priced:
    """The event's answers in each variation of :func:`vary`."""
    length = len(scenario.rows)
    dated = assemble(tariff, length * len(values), vary(tariff, scenario, column, values))
    priced = price_rows(tariff, dated.rows, dated.day)
    last = slice(length - 1, None, length)
    amounts = {name: answers[last] for name, answers in priced.amounts.items()}
    return Priced(amounts, priced.rule[last], priced.rule_names, priced.segment[last], priced.priced[last])


def _owners(rows: Sequence[Mapping[str, int]], owner: str, times: int) -> Ints:
    """Owners of the example told apart within a variation, and variations from each other."""
    own = np.unique([row.get(owner, 0) for row in rows], return_inverse=True)[1]
    return np.tile(own, times) + np.repeat(np.arange(times) * len(rows), len(rows)) + 1
