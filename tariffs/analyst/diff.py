"""``tariff diff``: the same rows under two files: which rows change, and how much money moves for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tariffs.analyst.lacks import require_columns
from tariffs.analyst.price import price_complete
from tariffs.analyst.row_files import RowFile
from tariffs.analyst.services import SERVICES, Priced, is_money
from tariffs.columns import NULL, Bools, Ints
from tariffs.errors import TariffKindError
from tariffs.tariff import Tariff
from tariffs.written import written_of


@dataclass(frozen=True)
class Change:
    """What two files say about a set of rows."""

    column: str
    """Column the set is chosen by; ``all`` for every row."""
    value: str
    """Its value in this set, as people write it."""
    rows: int
    differ: int
    dearer: int
    """Rows for which the first payer of the service pays more."""
    cheaper: int
    old: Mapping[str, int]
    """Fen by payer under the old file."""
    new: Mapping[str, int]

    @property
    def moved(self) -> dict[str, int]:
        """Fen by payer, new less old."""
        return {name: self.new[name] - self.old[name] for name in self.old}


@dataclass(frozen=True)
class Difference:
    """Two files compared on one file of rows."""

    old: Priced
    new: Priced
    differ: Bools
    """Rows whose amounts, or whether they have a price, are not the same."""
    gained: int
    """Rows that only the new file prices."""
    lost: int
    total: Change
    groups: tuple[Change, ...]


def diff(old: Tariff, new: Tariff, given: RowFile) -> Difference:
    """Price the rows, read for ``old``, under both files.

    Raises TariffKindError when these are of two kinds, ParameterError for a column only ``new`` reads.
    """
    if old.kind != new.kind:
        raise TariffKindError(new.id, new.kind, old.kind)
    require_columns(new, given.dated)
    rows = given.dated.rows
    before, after = price_complete(old, given.dated).priced, price_complete(new, given.dated).priced
    differ = before.priced != after.priced
    for name in before.amounts.keys() | after.amounts.keys():
        if is_money(name):
            differ |= _amount(before, name) != _amount(after, name)
    service = SERVICES[old.kind]
    groups = []
    for column in service.groups:
        values: Ints = getattr(rows, column).astype(np.int64)
        distinct = np.unique(values)
        if len(distinct) > 1 or (len(distinct) and distinct[0] != service.rows.SPECS[column].default):
            for value in distinct.tolist():
                written = "" if value == NULL else str(written_of(column, value))
                groups.append(_change(service.payers, column, written, values == value, before, after, differ))
    everything = np.ones(len(rows), np.bool_)
    return Difference(
        old=before,
        new=after,
        differ=differ,
        gained=int((after.priced & ~before.priced).sum()),
        lost=int((before.priced & ~after.priced).sum()),
        total=_change(service.payers, "all", "", everything, before, after, differ),
        groups=tuple(groups),
    )


def difference_columns(given: RowFile, difference: Difference) -> dict[str, object]:
    """The rows that differ: the file's own columns, then old and new of every amount that moves, and the rules."""
    at = np.flatnonzero(difference.differ)
    columns: dict[str, object] = {name: given.table[name].take(at) for name in given.table.column_names}
    for name in difference.old.amounts:
        old, new = _amount(difference.old, name)[at], _amount(difference.new, name)[at]
        if (old != new).any():
            columns |= {f"old_{name}": old, f"new_{name}": new}
    for label, priced in (("old", difference.old), ("new", difference.new)):
        columns[f"{label}_rule"] = [priced.rule_of(row) for row in at.tolist()]
    return columns


def change_columns(changes: Sequence[Change]) -> dict[str, object]:
    """The table by group, one row per change."""
    columns: dict[str, object] = {
        name: [getattr(each, name) for each in changes]
        for name in ("column", "value", "rows", "differ", "dearer", "cheaper")
    }
    for payer in changes[0].old:
        columns |= {f"old_{payer}": [each.old[payer] for each in changes]}
        columns |= {f"new_{payer}": [each.new[payer] for each in changes]}
    return columns


def first_moved(change: Change) -> int:
    """Fen by which the first payer of the service pays more."""
    return next(iter(change.moved.values()))


def _amount(priced: Priced, name: str) -> Ints:
    return priced.amounts.get(name, np.zeros(len(priced), np.int64))


def _change(
    payers: tuple[str, ...], column: str, value: str, rows: Bools, old: Priced, new: Priced, differ: Bools
) -> Change:
    rise = _amount(new, payers[0])[rows] - _amount(old, payers[0])[rows]
    return Change(
        column=column,
        value=value,
        rows=int(rows.sum()),
        differ=int(differ[rows].sum()),
        dearer=int((rise > 0).sum()),
        cheaper=int((rise < 0).sum()),
        old={name: int(_amount(old, name)[rows].sum()) for name in payers},
        new={name: int(_amount(new, name)[rows].sum()) for name in payers},
    )
