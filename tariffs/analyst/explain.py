"""``tariff explain``: one event, step by step: what it cost before and after each step, and who paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from tariffs.analyst.lacks import assumed, lacks_of, refuse_lacking, remedy_for
from tariffs.analyst.rows import DatedRows, assemble, known_columns, read_value
from tariffs.analyst.services import SERVICES, price_rows
from tariffs.errors import ParameterError
from tariffs.tariff import Tariff
from tariffs.trace import RowAnswer, StepTaken, trace_steps
from tariffs.written import day_of


@dataclass(frozen=True)
class Explanation:
    """How an event got its price."""

    tariff_id: str
    title: str
    source: str
    segment: str
    event: Mapping[str, int]
    """The columns that were given, as integers."""
    assumed: Mapping[str, int]
    """Columns a step reads that were not given, with what stands for them."""
    steps: tuple[StepTaken, ...]

    @property
    def last(self) -> StepTaken:
        """What the whole tariff says."""
        return self.steps[-1]


def read_event(kind: str, pairs: Sequence[str]) -> dict[str, int]:
    """``key=value`` texts as one row by column; ParameterError naming what is wrong and what there is."""
    known = known_columns(kind)
    event: dict[str, int] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in known:
            raise ParameterError("--event", pair, f"write key=value; the keys are: {', '.join(known)}")
        try:
            event[name] = read_value(name, text)
        except ValueError as error:
            raise ParameterError(f"--event {name}", text, str(error)) from error
    return event


def explain(
    tariff: Tariff, event: Mapping[str, int], history: DatedRows | None = None, day: date | None = None
) -> Explanation:
    """Price an event behind the rows of its owner's ``history`` after each step in turn.

    Each step is shown as :func:`tariffs.trace.trace_steps` prices it.
    Raises ParameterError for an event that makes no row or lacks what a step reads of it, and for such a row of the
    history; TariffDateError outside the published range.
    """
    if history is not None:
        refuse_lacking(tariff, history)
    one, dated = _behind(tariff, event, history, day)
    segment = tariff.segment_on(day_of(int(dated.day[-1])))
    whole = tariff.segments[segment]

    def last_row(shorter: Tariff) -> RowAnswer:
        priced = price_rows(shorter, dated.rows, dated.day)
        amounts = {name: int(values[-1]) for name, values in priced.amounts.items()}
        return RowAnswer(amounts, priced.rule_of(-1), bool(priced.priced[-1]))

    taken = trace_steps(tariff, segment, last_row)
    dates = f"{whole.first}..{whole.last}"
    return Explanation(tariff.id, tariff.title, tariff.source, dates, dict(event), assumed(tariff, one), taken)


def _behind(
    tariff: Tariff, event: Mapping[str, int], history: DatedRows | None, day: date | None
) -> tuple[DatedRows, DatedRows]:
    """The event, and the history with it as the last row; owner and order are those that follow from it."""
    service = SERVICES[tariff.kind]
    given = dict(event)
    last = None if history is None or not len(history.rows) else history.rows.take(slice(-1, None))
    given.setdefault(service.owner, 1 if last is None else int(getattr(last, service.owner)[0]))
    if history is not None and last is not None:
        given.setdefault("sequence", int(history.rows.sequence.max()) + 1)  # type: ignore[attr-defined]
    one = assemble(tariff, 1, {name: np.array([value], np.int64) for name, value in given.items()}, day)
    for lack in lacks_of(tariff, one):
        raise ParameterError(f"--event {lack.column}", None, remedy_for(tariff, lack))
    if history is None:
        return one, one
    rows = type(one.rows).concatenate([history.rows, one.rows])
    return one, DatedRows(rows, np.concatenate([history.day, one.day]), {}, one.given)
