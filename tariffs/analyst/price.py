"""``tariff price``: a file of rows in, the same rows with their answers out, unpriced ones with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tariffs.analyst.row_files import RowFile
from tariffs.analyst.rows import DatedRows
from tariffs.analyst.services import Priced, price_rows
from tariffs.columns import Codes, Ints
from tariffs.tariff import Tariff
from tariffs.trace import truncated

PRICED, OUTSIDE, NOT_COVERED, EXCLUDED = 0, 1, 2, 3
"""Why a row has no price: a code of ``reason``; the texts are ``reason.<name>`` of the messages."""
REASONS = ("priced", "outside", "not_covered", "excluded")


@dataclass(frozen=True)
class PricedFile:
    """Rows with their answers."""

    given: RowFile
    priced: Priced
    reason: Ints
    """Per row one of :data:`REASONS`."""
    step: Ints
    """Position of the step that excludes a row, −1 elsewhere."""


def price_file(tariff: Tariff, given: RowFile) -> PricedFile:
    """Price the rows and say of each unpriced one why."""
    priced = price_rows(tariff, given.dated.rows, given.dated.day)
    reason = np.where(priced.priced, PRICED, np.where(priced.segment < 0, OUTSIDE, NOT_COVERED))
    step = np.full(len(reason), -1, np.int64)
    for segment in np.unique(priced.segment[reason == NOT_COVERED]):
        at = np.flatnonzero((reason == NOT_COVERED) & (priced.segment == segment))
        step[at] = _excluding_step(tariff, int(segment), given.dated, at)
    reason[step >= 0] = EXCLUDED
    return PricedFile(given, priced, reason, step)


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
