"""Readings over several dated segments, and what a late, corrected or withdrawn reading changes.

A correction re-spreads the tiers of its account: only accounts with a change are priced again, from the snapshot of
their counters on, and the differences are what has to be posted. Posted prices are never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tariffs.columns import NULL, Bools, Column, Columns, Ints
from tariffs.errors import TariffDateError
from tariffs.tariff import Tariff, compile_segment
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility


@dataclass(frozen=True, eq=False)
class UtilityDifferences(Columns):
    """What a reading costs more (or less, negative) after a correction; fen, only rows that change."""

    account: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    gross: Annotated[Ints, Column(np.int64)]
    components: Annotated[Ints, Column(np.int64)]
    """Shape (rows, components)."""


def price_utility_dated(
    tariff: Tariff, usages: UtilityUsages, state: UtilityState
) -> tuple[UtilityPrices, UtilityState, tuple[str, ...]]:
    """Price readings of any published days, each by the segment of its day, counters carried between segments.

    Returns prices in the order of ``usages``, the counters after them and the names of the components. Raises
    TariffDateError for a day that is not published; ValueError when the readings of an account are not in the
    order of days (its tiers would be filled out of turn), a bill has readings in two segments or the segments
    have different components.
    """
    segment = tariff.segment_of(usages.period_day)
    if (segment < 0).any():
        day = usages.period_day[segment < 0][:1].astype("datetime64[D]")[0].item()
        raise TariffDateError(tariff.id, day, tariff.first_day, tariff.last_day)
    order = np.lexsort((usages.sequence, usages.account))
    falls = (np.diff(usages.account[order]) == 0) & (np.diff(usages.period_day[order]) < 0)
    if falls.any():
        account = int(usages.account[order][1:][falls][0])
        raise ValueError(f"the readings of account {account} are not in the order of days")
    order = np.lexsort((segment, usages.bill, usages.account))
    same = (
        (np.diff(usages.account[order]) == 0) & (np.diff(usages.bill[order]) == 0) & (usages.bill[order][1:] != NULL)
    )
    if (same & (np.diff(segment[order]) != 0)).any():
        raise ValueError(f"a bill has readings before and after a change of {tariff.id}: bill them apart")
    numbers = np.unique(segment).tolist() or [0]
    parts, rows = [], []
    names = compile_segment(tariff, numbers[0]).component_names
    for number in numbers:
        compiled = compile_segment(tariff, number)
        if compiled.component_names != names:
            raise ValueError(f"{tariff.id}: components differ between {names} and {compiled.component_names}")
        at = np.flatnonzero(segment == number)
        priced, state = price_utility(compiled, usages.take(at), state)
        parts.append(priced)
        rows.append(at)
    back = np.argsort(np.concatenate(rows), kind="stable")
    return UtilityPrices.concatenate(parts).take(back), state, names


def corrected_usages(posted: UtilityUsages, corrections: UtilityUsages, withdrawn: Ints) -> UtilityUsages:
    """The readings as they should have been.

    ``corrections`` replace the posted rows with their account and sequence or are late and new; ``withdrawn``
    int64 are rows of ``posted`` that should not be there.
    """
    replaced = _among(posted, corrections)
    replaced[withdrawn] = True
    return UtilityUsages.concatenate([posted.take(~replaced), corrections])


def reprice_utility(
    tariff: Tariff, posted: UtilityUsages, current: UtilityUsages, opening: UtilityState
) -> tuple[UtilityDifferences, UtilityState]:
    """Difference rows between two versions of the readings since a snapshot of the counters.

    ``posted`` and ``current`` hold all readings after ``opening`` of at least the accounts that changed. Returns
    the differences, sorted by account and sequence, and the counters after ``current`` of the accounts that
    changed. Equal to pricing both versions whole and subtracting; accounts without a change are not priced.
    """
    touched = np.unique(np.concatenate([_changed(posted, current), _changed(current, posted)]))
    before = opening.take(np.isin(opening.account, touched))
    old = posted.take(np.isin(posted.account, touched))
    new = current.take(np.isin(current.account, touched))
    old_prices, _, _ = price_utility_dated(tariff, old, before)
    new_prices, state, _ = price_utility_dated(tariff, new, before)
    account = np.concatenate([old.account, new.account])
    sequence = np.concatenate([old.sequence, new.sequence])
    change = np.concatenate([-old_prices.components, new_prices.components])
    order = np.lexsort((sequence, account))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(account[order]) != 0) | (np.diff(sequence[order]) != 0)
    starts = np.flatnonzero(begins)
    components = np.add.reduceat(change[order], starts, axis=0) if len(starts) else change
    differs = (components != 0).any(axis=1)
    first = order[starts][differs]
    differences = UtilityDifferences(
        account=account[first],
        sequence=sequence[first],
        gross=components[differs].sum(axis=1),
        components=components[differs],
    )
    return differences, state


def _among(rows: UtilityUsages, others: UtilityUsages) -> Bools:
    """Rows whose (account, sequence) is also one of ``others``."""
    pairs = np.concatenate([np.stack([r.account, r.sequence], axis=1) for r in (rows, others)])
    _, number = np.unique(pairs, axis=0, return_inverse=True)
    number = number.reshape(-1)
    return np.asarray(np.isin(number[: len(rows)], number[len(rows) :]))


def _changed(rows: UtilityUsages, others: UtilityUsages) -> Ints:
    """Accounts of ``rows`` with a row that is not, in all its columns, one of ``others``."""
    tables = [
        np.stack([getattr(part, name).astype(np.int64) for name in part.SPECS], axis=1) for part in (rows, others)
    ]
    _, number = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
    number = number.reshape(-1)
    return np.asarray(rows.account[~np.isin(number[: len(rows)], number[len(rows) :])])
