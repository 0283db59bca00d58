"""``tariff edges``: the prices on both sides of every threshold of a file, for a person to sign off.

Nothing here knows what a step means. The numbers, times and dates in the steps are candidates; around each of
them the file's own examples are priced with one quantity varied, and where the price jumps or bends or
another rule decides, there is an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from tariffs.analyst.rows import DATE
from tariffs.analyst.runs import Met, Run, counted_time
from tariffs.analyst.scenarios import Scenario, price_variations, scenarios_of
from tariffs.analyst.services import SERVICES, Priced
from tariffs.analyst.thresholds import Thresholds, thresholds_of
from tariffs.columns import NULL, Ints
from tariffs.parameters import QUANTITY_MAX
from tariffs.tariff import Tariff
from tariffs.written import OWNERS, day_number, written_of

EDGES_MAX: Final = 60
"""Edges of one quantity of one example; a scale that goes on for ever is shown this far."""

_SECONDS_PER_DAY: Final = 86_400
_BEND_REACH: Final = 100
"""Units on either side of a number over which a bend is looked for: two slopes 1 % apart differ by a fen."""


Points = tuple[tuple[tuple[int, ...], str, bool], ...]
"""Amounts, rule and whether there is a price, point by point."""


@dataclass(frozen=True)
class Point:
    """The answers at one value."""

    value: int
    amounts: Mapping[str, int]
    rule: str
    priced: bool


@dataclass(frozen=True)
class Edge:
    """A value up to which one price holds; behind it another does."""

    scenario: Scenario
    column: str
    """Varied column of the event; :data:`DATE` for a day."""
    value: int
    """The last value, day or second of the old price."""
    points: tuple[Point, ...]
    """At the value, one unit below and one above."""
    repeated: int = 0
    """Further examples around which the same edge was found."""


def edges_of(tariff: Tariff) -> list[Edge]:
    """Every edge around the examples of a file, by example and quantity; the same edge once, where it came first."""
    found: list[Edge] = []
    seen: set[object] = set()
    for number, scenario in enumerate(scenarios_of(tariff)):
        segment = tariff.segment_on(scenario.day)
        thresholds = thresholds_of(tariff.segments[segment].steps)
        for column in (*_quantities(tariff, scenario), DATE):
            alone = () if scenario.history else (SERVICES[tariff.kind].owner,)
            others = tuple((n, value) for n, value in scenario.event.items() if n not in (column, *alone))
            history = tuple(tuple(row.items()) for row in scenario.history)
            key = (column, others, history) if column == DATE else (column, others, history, segment)
            if key not in seen:
                seen.add(key)
                found += _edges_along(tariff, scenario, column, thresholds, published=number == 0)
    return _once(tariff, found)


def _once(tariff: Tariff, edges: Sequence[Edge]) -> list[Edge]:
    """Edges of one quantity at one value (one time of day) between the same prices by the same rules put together."""
    alike: dict[object, list[Edge]] = {}
    starts = {day_number(day) for segment in tariff.segments for day in (segment.first, segment.last + timedelta(1))}
    for edge in edges:
        a_day = _SECONDS_PER_DAY if edge.column.endswith("_time") else QUANTITY_MAX
        points: Points = tuple(
            (tuple(point.amounts[name] for name in SERVICES[tariff.kind].shown), point.rule, point.priced)
            for point in edge.points
        )
        key: object = (edge.column, edge.value % a_day, points)
        if edge.column == DATE and edge.value + 1 not in starts:
            # A holiday is one for every journey: once where prices rise, once where they fall.
            key = (edge.column, edge.value, tuple(_sign(one[0], two[0]) for one, two in pairwise(points)))
        alike.setdefault(key, []).append(edge)
    return [replace(same[0], repeated=len(same) - 1) for same in alike.values()]


def _sign(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Whether amounts rise (1), fall (−1) or stay."""
    return (after > before) - (after < before)


def point_value(edge: Edge, point: Point) -> str:
    """The varied value of a point as people write it."""
    return str(written_of(f"{DATE}_day" if edge.column == DATE else edge.column, point.value))


def event_text(event: Mapping[str, int]) -> str:
    """The columns of an event as people write them; whose it is does not matter, and may have been any text."""
    told = {name: value for name, value in event.items() if value != NULL and name not in OWNERS}
    return " ".join(f"{name}={written_of(name, value)}" for name, value in told.items())


def edge_conditions(edge: Edge) -> str:
    """The rest of the event, and how many events come before it."""
    others = event_text({name: value for name, value in edge.scenario.event.items() if name != edge.column})
    return f"{others} +{len(edge.scenario.history)}" if edge.scenario.history else others


def edge_columns(tariff: Tariff, edges: Sequence[Edge], runs: Sequence[Run] = ()) -> dict[str, object]:
    """The table of edges and runs, one row per point or journey."""
    pairs = [(edge, point) for edge in edges for point in edge.points]
    journeys = [(run, met) for run in runs for met in run.met]
    met_or_point: list[Point | Met] = [*(point for _, point in pairs), *(met for _, met in journeys)]
    columns: dict[str, object] = {
        "column": [*(edge.column for edge, _ in pairs), *("entry_time" for _ in journeys)],
        "value": [*(point_value(edge, point) for edge, point in pairs), *(run_time(met) for _, met in journeys)],
    }
    for name in SERVICES[tariff.kind].shown:
        columns[name] = [each.amounts[name] if each.priced else None for each in met_or_point]
    columns["rule"] = [each.rule if each.priced else "" for each in met_or_point]
    again = [f"{event_text(run.event)} +{met.number - 1} ({run.step})" for run, met in journeys]
    columns["with"] = [*(edge_conditions(edge) for edge, _ in pairs), *again]
    return columns


def run_time(met: Met) -> str:
    """The time of a journey of a run as people write it."""
    return str(written_of("entry_time", counted_time(met.row)))


def edge_document(edge: Edge) -> dict[str, object]:
    """An edge as plain values."""
    points = [{**vars(point), "value": point_value(edge, point)} for point in edge.points]
    return {"column": edge.column, "with": edge_conditions(edge), "repeated": edge.repeated, "points": points}


def _quantities(tariff: Tariff, scenario: Scenario) -> list[str]:
    """Columns of the event that count or measure something."""
    service = SERVICES[tariff.kind]
    return [
        name
        for name, value in scenario.event.items()
        if service.rows.SPECS[name].dtype is np.int64 and name not in service.names and value != NULL
    ]


def _edges_along(
    tariff: Tariff, scenario: Scenario, column: str, thresholds: Thresholds, *, published: bool
) -> Iterator[Edge]:
    unit = 1000 if column.endswith("_milli") else 1
    probe = _Probe(tariff, scenario, column, unit)
    candidates = _candidates(tariff, scenario, column, thresholds, published)
    values = probe.changes(candidates) | probe.jumps(candidates) | probe.bends(candidates)
    for value in sorted(values)[:EDGES_MAX]:
        around = np.array([value - unit, value, value + unit], np.int64)
        if column != DATE:
            around = around[around >= 0]
        yield Edge(scenario, column, value, tuple(probe.points(around)))


def _candidates(tariff: Tariff, scenario: Scenario, column: str, thresholds: Thresholds, published: bool) -> Ints:
    """Values worth looking at; the ends of the published range only when asked for, as they are those of the file."""
    if column == DATE:
        days = {segment.first for segment in tariff.segments[1:]}
        if not scenario.history:
            # A whole week moved over holidays has prices nobody could check.
            days |= {day for day in thresholds.days if tariff.first_day < day <= tariff.last_day}
        if published:
            days |= {tariff.first_day, tariff.last_day + timedelta(days=1)}
        return _sorted(day_number(day) for day in days)
    if column.endswith("_time"):
        midnight = scenario.event[column] // _SECONDS_PER_DAY * _SECONDS_PER_DAY
        hours = range(0, _SECONDS_PER_DAY, 3600)
        earlier = [row[name] for row in scenario.history for name in row if name.endswith("_time")]
        waits = [number for number in thresholds.numbers if number < 7 * _SECONDS_PER_DAY]
        behind = [moment + wait for moment in earlier for wait in waits]
        times = _sorted([*(midnight + second for second in (*hours, *thresholds.seconds)), *behind])
        return times[times >= max(earlier, default=0)]
    if column.endswith("_day"):
        return _sorted([day_number(scenario.day)])
    scale = 1000 if column.endswith("_milli") else 1
    decades = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
    minutes = (second // 60 for second in thresholds.seconds) if column == "minute" else ()
    numbers = _sorted([0, *thresholds.numbers, *decades, *minutes])
    numbers = _sorted([*numbers, *(numbers * scale)])
    return numbers[numbers < QUANTITY_MAX]


def _sorted(values: Iterable[int]) -> Ints:
    return np.unique(np.fromiter(values, np.int64))


class _Probe:
    """Prices of one scenario as a function of one column."""

    def __init__(self, tariff: Tariff, scenario: Scenario, column: str, unit: int) -> None:
        self._tariff, self._scenario, self._column, self._unit = tariff, scenario, column, unit
        self._shown = SERVICES[tariff.kind].shown

    def points(self, values: Ints) -> Iterator[Point]:
        priced = self._price(values)
        for row, value in enumerate(values.tolist()):
            amounts = {name: int(priced.amounts[name][row]) for name in priced.amounts}
            yield Point(value, amounts, priced.rule_of(row), bool(priced.priced[row]))

    def changes(self, candidates: Ints) -> set[int]:
        """The last value before another rule decides, found between neighbours by halving."""
        low, high = candidates[:-1], candidates[1:]
        if self._column == DATE:
            low, high = candidates - 1, candidates
        labels = self._labels(np.concatenate([low, high]))
        before, after = np.split(labels, 2)
        differ = before != after
        low, high, before = low[differ], high[differ], before[differ]
        while len(low) and (high - low > 1).any():
            middle = (low + high) // 2
            same = self._labels(middle) == before
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return set(low.tolist())

    def jumps(self, candidates: Ints) -> set[int]:
        """The last value before a jump, among the candidates and the values before them."""
        inner = candidates if self._column == DATE else candidates[candidates >= self._unit]
        below, at, above = self._amounts_around(inner, (-self._unit, 0, self._unit))
        rise, rise_after = at - below, above - at
        jump = np.abs(rise_after - rise) > 1
        late = jump & (np.abs(rise_after) >= np.abs(rise))
        early = (jump & ~late).any(axis=1)
        return set(inner[late.any(axis=1)].tolist()) | set((inner[early] - self._unit).tolist())

    def bends(self, candidates: Ints) -> set[int]:
        """Candidates at which the slope changes by more than rounding explains."""
        if self._column == DATE or self._column.endswith("_time"):
            return set()
        far = self._unit * _BEND_REACH
        inner = candidates[candidates >= far]
        offsets = (-far, -far // 2, 0, far // 2, far)
        far_below, below, at, above, far_above = self._amounts_around(inner, offsets)
        straight = (np.abs(far_below + at - 2 * below) <= 2) & (np.abs(far_above + at - 2 * above) <= 2)
        bent = straight & (np.abs((far_above - at) - (at - far_below)) > 3)
        return set(inner[bent.any(axis=1)].tolist())

    def _price(self, values: Ints) -> Priced:
        return price_variations(self._tariff, self._scenario, self._column, values)

    def _labels(self, values: Ints) -> np.ndarray:
        priced = self._price(values)
        names = np.array(priced.rule_names, object)
        return np.where(priced.priced, names[priced.rule], np.where(priced.segment < 0, "", "-"))

    def _amounts_around(self, values: Ints, offsets: Sequence[int]) -> list[Ints]:
        """Amounts that tell prices apart at each offset from ``values``, each of shape (values, amounts)."""
        priced = self._price(np.concatenate([values + offset for offset in offsets]))
        zero = np.zeros(len(priced), np.int64)
        amounts = np.stack([priced.amounts.get(name, zero) for name in self._shown], axis=1)
        return np.split(amounts, len(offsets))
