"""``tariff price``: a file of rows in, the same rows with their answers out, unpriced ones with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tariffs.analyst.lacks import Lack, lacks_of, refuse_lacking
from tariffs.analyst.row_files import RowFile
from tariffs.analyst.rows import DatedRows
from tariffs.analyst.services import Priced, price_rows, remembers
from tariffs.columns import NULL, Bools, Codes, Ints
from tariffs.tariff import Tariff
from tariffs.trace import truncated
from tariffs.transit.columns import TransitJourneys

PRICED, OUTSIDE, NOT_COVERED, EXCLUDED, LACKING, BEHIND = 0, 1, 2, 3, 4, 5
"""Why a row has no price: a code of ``reason``; the texts are ``reason.<name>`` of the messages."""
REASONS = ("priced", "outside", "not_covered", "excluded", "lacking", "behind")


@dataclass(frozen=True)
class PricedFile:
    """Rows with their answers."""

    given: RowFile
    priced: Priced
    reason: Ints
    """Per row one of :data:`REASONS`."""
    step: Ints
    """Position of the step that excludes a row, −1 elsewhere."""
    lacks: tuple[Lack, ...]


@dataclass(frozen=True)
class Complete:
    """Prices of the rows that lack nothing; the others, and those whose price depends on them, have none."""

    priced: Priced
    lacks: tuple[Lack, ...]
    """What rows lack of what a step reads."""
    behind: Bools
    """Rows of a card one of whose earlier rows lacks something, where the tariff remembers."""


def price_file(tariff: Tariff, given: RowFile) -> PricedFile:
    """Price the rows and say of each unpriced one why; ParameterError as :func:`price_complete`."""
    complete = price_complete(tariff, given.dated)
    priced = complete.priced
    reason = np.where(priced.priced, PRICED, np.where(priced.segment < 0, OUTSIDE, NOT_COVERED))
    reason[complete.behind] = BEHIND
    for lack in complete.lacks:
        reason[lack.rows] = LACKING
    step = np.full(len(reason), -1, np.int64)
    for segment in np.unique(priced.segment[reason == NOT_COVERED]):
        at = np.flatnonzero((reason == NOT_COVERED) & (priced.segment == segment))
        step[at] = _excluding_step(tariff, int(segment), given.dated, at)
    reason[step >= 0] = EXCLUDED
    return PricedFile(given, priced, reason, step, complete.lacks)


def price_complete(tariff: Tariff, dated: DatedRows) -> Complete:
    """Price the rows that lack nothing.

    What lacks in one row of a person or an account makes the next ones wrong: ParameterError with the first such row.
    """
    lacks = tuple(lacks_of(tariff, dated))
    behind = np.zeros(len(dated.rows), np.bool_)
    if tariff.kind != "transit":
        refuse_lacking(tariff, dated)
    if not lacks:
        return Complete(price_rows(tariff, dated.rows, dated.day), (), behind)
    lacking = np.zeros(len(behind), np.bool_)
    for lack in lacks:
        lacking[lack.rows] = True
    if isinstance(dated.rows, TransitJourneys) and remembers(tariff):
        behind = _behind(dated.rows, lacking, dated.empty.get("card", behind)) & ~lacking
    at = np.flatnonzero(~lacking & ~behind)
    priced = price_rows(tariff, dated.rows.take(at), dated.day[at])
    return Complete(priced.spread(at, tariff.segment_of(dated.day)), lacks, behind)


def _behind(rows: TransitJourneys, lacking: Bools, nobody: Bools) -> Bools:
    """Rows not before a lacking row of their card; one without any time is before all others (NULL is)."""
    time = np.where(rows.entry_time == NULL, rows.exit_time, rows.entry_time)
    cards, card = np.unique(rows.card, return_inverse=True)
    first = np.full(len(cards), np.iinfo(np.int64).max)
    broken = lacking & ~nobody
    np.minimum.at(first, card[broken], time[broken])
    found: Bools = time >= first[card]
    return found & ~nobody


def _excluding_step(tariff: Tariff, segment: int, dated: DatedRows, at: Ints) -> Ints:
    """The first step after which a row that had a price has none; −1 where no step ever gave it one."""
    excluding = np.full(len(at), -1, np.int64)
    had_price = np.zeros(len(at), np.bool_)
    rows, day = dated.rows.take(at), dated.day[at]
    for count in range(1, len(tariff.segments[segment].steps) + 1):
        shorter = truncated(tariff, segment, count)
        if shorter is None:
            continue
        has_price = price_rows(shorter, rows, day).priced
        excluding[had_price & ~has_price] = count - 1
        had_price = has_price
    return excluding


def reasons_of(tariff: Tariff, result: PricedFile, texts: Mapping[str, str]) -> list[str]:
    """Why each row has no price, in the words of ``texts`` by name of the reason; empty for priced rows."""
    words = [""] + [texts[name] for name in REASONS[1:]]
    reasons = [words[code] for code in result.reason.tolist()]
    for row in np.flatnonzero(result.step >= 0).tolist():
        steps = tariff.segments[int(result.priced.segment[row])].steps
        reasons[row] = reasons[row].format(step=steps[int(result.step[row])][0])
    for lack in result.lacks:
        told = texts["lacking"].format(column=lack.column, step=lack.step)
        for row in lack.rows.tolist():
            reasons[row] = told
    return reasons


def answer_columns(tariff: Tariff, result: PricedFile, reasons: list[str]) -> dict[str, object]:
    """The file's own columns, then the answers, rule and segment by name, and the reason of unpriced rows."""
    priced = result.priced
    columns: dict[str, object] = {name: result.given.table[name] for name in result.given.table.column_names}
    columns |= {_free(name, columns): values for name, values in priced.amounts.items()}
    segments = [f"{segment.first}..{segment.last}" for segment in tariff.segments]
    columns["rule"] = _named(priced.rule, priced.rule_names)
    # Rows outside the published range have segment −1, which is the last name.
    columns["segment"] = _named(priced.segment % (len(segments) + 1), [*segments, ""])
    columns["priced"] = priced.priced
    columns["reason"] = pa.array(reasons, pa.string())
    return columns


def _named(codes: Ints | Codes, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), list(names)).cast(pa.string())


def _free(name: str, taken: Mapping[str, object]) -> str:
    """An answer never overwrites what the file brought along."""
    return f"{name}_priced" if name in taken else name
