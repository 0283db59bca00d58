"""Edges a person has signed off, as inline tests to paste into the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from tariffs.analyst.edges import Edge, Point
from tariffs.analyst.rows import DATE, days_of
from tariffs.analyst.runs import Met, Run, counted_time
from tariffs.analyst.scenarios import vary
from tariffs.analyst.services import SERVICES
from tariffs.columns import NULL
from tariffs.tariff import Tariff
from tariffs.written import day_of, written_of

Row = Mapping[str, int]


def inline_tests(tariff: Tariff, edges: Sequence[Edge], runs: Sequence[Run] = ()) -> str:
    """The YAML of a list of inline tests, one per day and set of columns, and one per run.

    Days without a price are left out.
    """
    tests: dict[tuple[str, tuple[str, ...]], list[tuple[Row, Mapping[str, object]]]] = {}
    for edge in edges:
        for point in edge.points:
            rows, days = _rows(tariff, edge, point)
            # A history that begins before the first price is none that a test could repeat.
            if all(tariff.first_day <= day_of(day) <= tariff.last_day for day in days):
                key = (day_of(days[-1]).isoformat(), tuple(rows[0]))
                expected = [*({} for _ in rows[:-1]), _answers(tariff, point)]
                owner = len(tests.setdefault(key, []))
                tests[key] += zip((_owned(tariff, row, owner) for row in rows), expected, strict=True)
    written = [_test(f"edges on {day}: " + ", ".join(columns), day, pairs) for (day, columns), pairs in tests.items()]
    return "".join([*written, *(_run_test(tariff, run) for run in runs)])


def _test(name: str, day: str, pairs: Sequence[tuple[Row, Mapping[str, object]]]) -> str:
    return (
        f"  - name: {json.dumps(name, ensure_ascii=False)}\n    date: {day}\n"
        f"    rows:\n{_lines([row for row, _ in pairs])}    expect:\n{_lines([answer for _, answer in pairs])}"
    )


def _run_test(tariff: Tariff, run: Run) -> str:
    """All journeys of a run, with the answers of those on both sides of its edges."""
    met = {each.number - 1: each for each in run.met}
    answers = [_answers(tariff, met[at]) if at in met else {} for at in range(len(run.rows))]
    day = day_of(counted_time(run.rows[0]) // 86_400).isoformat()
    return _test(f"edges of {run.step}", day, list(zip(run.rows, answers, strict=True)))


def _rows(tariff: Tariff, edge: Edge, point: Point) -> tuple[list[dict[str, int]], list[int]]:
    """The rows of one variation with the columns the example gives, and their days."""
    columns = vary(tariff, edge.scenario, edge.column, np.array([point.value], np.int64))
    days = [int(day) for day in days_of(tariff, len(edge.scenario.rows), columns)]
    del columns[DATE]
    if not edge.scenario.history and "sequence" not in edge.scenario.event:
        del columns["sequence"]
    length = len(edge.scenario.rows)
    return [{name: int(values[row]) for name, values in columns.items()} for row in range(length)], days


def _owned(tariff: Tariff, row: Row, first: int) -> Row:
    """Owners numbered on, so that no variation is another's history."""
    service = SERVICES[tariff.kind]
    numbered = {name: row[name] + first for name in (service.owner, *service.shared) if name in row}
    return {**row, **numbered}


def _answers(tariff: Tariff, point: Point | Met) -> Mapping[str, object]:
    if not point.priced:
        return {"priced": False}
    return {**{name: point.amounts[name] for name in SERVICES[tariff.kind].shown}, "rule": point.rule}


def _lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(
        f"      - {{{', '.join(f'{name}: {_scalar(name, row[name])}' for name in row)}}}\n" for row in rows
    )


def _scalar(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = None if value == NULL else written_of(name, value)
    return json.dumps(value, ensure_ascii=False)
