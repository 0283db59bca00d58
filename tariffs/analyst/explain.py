"""``tariff explain``: one event, step by step: what it cost before and after each step, and who paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from tariffs.analyst.rows import DatedRows, assemble, known_columns, read_value
from tariffs.analyst.services import SERVICES, price_rows, truncated
from tariffs.errors import ParameterError
from tariffs.parameters import Strict
from tariffs.tariff import Tariff
from tariffs.written import day_of


@dataclass(frozen=True)
class StepTaken:
    """The event after one step; amounts in fen, by answer column."""

    step: str
    """Its key in the file; several joined by ``+`` when they are one formula."""
    rule: str
    priced: bool
    before: Mapping[str, int]
    after: Mapping[str, int]

    @property
    def changed(self) -> tuple[str, ...]:
        """Columns this step gave another value."""
        return tuple(name for name, value in self.after.items() if value != self.before.get(name, 0))


@dataclass(frozen=True)
class Explanation:
    """How an event got its price."""

    tariff_id: str
    title: str
    source: str
    segment: str
    event: Mapping[str, int]
    """The columns that were given, as integers."""
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

    A step is shown by pricing with the file up to it, so that the explanation is the price and no second
    program. Steps that mean nothing alone (those of a medical settlement) are shown together.
    Raises ParameterError for an event that makes no row, TariffDateError outside the published range.
    """
    dated = _behind(tariff, event, history, day)
    segment = tariff.segment_on(day_of(int(dated.day[-1])))
    whole = tariff.segments[segment]
    steps = [_label(name, step) for name, step in whole.steps]
    taken: list[StepTaken] = []
    before: Mapping[str, int] = {}
    shown = 0
    for count in range(1, len(steps) + 1):
        shorter = truncated(tariff, segment, count)
        if shorter is None:
            continue
        priced = price_rows(shorter, dated.rows, dated.day)
        after = {name: int(values[-1]) for name, values in priced.amounts.items()}
        label = " + ".join(steps[shown:count])
        taken.append(StepTaken(label, priced.rule_of(-1), bool(priced.priced[-1]), before, after))
        before, shown = after, count
    dates = f"{whole.first}..{whole.last}"
    return Explanation(tariff.id, tariff.title, tariff.source, dates, dict(event), tuple(taken))


def _label(name: str, step: Strict) -> str:
    """A step's key, with the label that tells it from others of its type."""
    label = getattr(step, "label", None) or getattr(step, "name", None)
    return f"{name} ({label})" if label else name


def _behind(tariff: Tariff, event: Mapping[str, int], history: DatedRows | None, day: date | None) -> DatedRows:
    """The history with the event as its last row; owner and order are those that follow from it."""
    service = SERVICES[tariff.kind]
    given = dict(event)
    last = None if history is None or not len(history.rows) else history.rows.take(slice(-1, None))
    given.setdefault(service.owner, 1 if last is None else int(getattr(last, service.owner)[0]))
    if history is not None and last is not None:
        given.setdefault("sequence", int(history.rows.sequence.max()) + 1)  # type: ignore[attr-defined]
    one = assemble(tariff, 1, {name: np.array([value], np.int64) for name, value in given.items()}, day)
    if history is None:
        return one
    rows = type(one.rows).concatenate([history.rows, one.rows])
    return DatedRows(rows, np.concatenate([history.day, one.day]))
