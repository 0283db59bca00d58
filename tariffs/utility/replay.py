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
from tariffs.tariff import Tariff
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.late import UtilityStanding
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
    tariff: Tariff, usages: UtilityUsages, state: UtilityState, *, threads: int = 1
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
    names = tariff.compiled[numbers[0]].component_names
    for number in numbers:
        compiled = tariff.compiled[number]
        if compiled.component_names != names:
            raise ValueError(f"{tariff.id}: components differ between {names} and {compiled.component_names}")
        at = np.flatnonzero(segment == number)
        priced, state = price_utility(compiled, usages.take(at), state, threads=threads)
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


def price_standing(
    tariff: Tariff, readings: UtilityStanding, state: UtilityState, *, threads: int = 1
) -> tuple[UtilityPrices, UtilityState]:
    """Prices of readings as they stand, and the counters after them.

    In the order of the readings; rows that do not count, or whose amounts do not stand, have no price. Raises as
    :func:`price_utility_dated`.
    """
    counted, after, _ = price_utility_dated(tariff, readings.counted(), state, threads=threads)
    at = np.flatnonzero(readings.counts)
    prices = UtilityPrices(
        **{
            name: np.zeros((len(readings.counts), *getattr(counted, name).shape[1:]), spec.dtype)
            for name, spec in UtilityPrices.SPECS.items()
        }
    )
    stands = readings.pays[at]
    for name in UtilityPrices.SPECS:
        getattr(prices, name)[at[stands]] = getattr(counted, name)[stands]
    return prices, after


def reprice_utility(
    tariff: Tariff,
    posted: UtilityUsages | UtilityStanding,
    current: UtilityUsages | UtilityStanding,
    opening: UtilityState,
    *,
    threads: int = 1,
) -> tuple[UtilityDifferences, UtilityState]:
    """Difference rows between two versions of the readings since a snapshot of the counters.

    ``posted`` and ``current`` hold all readings after ``opening`` of at least the accounts that changed, plain or
    as they stand by a late policy. Returns the differences, sorted by account and sequence, and the counters after
    ``current`` of the accounts that changed. Equal to pricing both versions whole and subtracting; accounts without
    a change are not priced.
    """
    old, new = (
        readings if isinstance(readings, UtilityStanding) else UtilityStanding.of(readings)
        for readings in (posted, current)
    )
    touched = _changed_accounts(old, new)
    before = opening.take(np.isin(opening.account, touched))
    old, new = (readings.take(np.isin(readings.usages.account, touched)) for readings in (old, new))
    old_prices, _ = price_standing(tariff, old, before, threads=threads)
    new_prices, state = price_standing(tariff, new, before, threads=threads)
    account = np.concatenate([old.usages.account, new.usages.account])
    sequence = np.concatenate([old.usages.sequence, new.usages.sequence])
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


def _changed_accounts(old: UtilityStanding, new: UtilityStanding) -> Ints:
    """Accounts with a row that is not, in all its columns and as it stands, in both versions."""
    tables = []
    for part in (old, new):
        columns = [getattr(part.usages, name).astype(np.int64) for name in part.usages.SPECS]
        table = np.stack([*columns, part.counted_day, part.pays], axis=1, dtype=np.int64, casting="unsafe")
        tables.append(table[part.counts])
    account = np.concatenate([part.usages.account[part.counts] for part in (old, new)])
    _, number = np.unique(np.concatenate(tables), axis=0, return_inverse=True)
    number = number.reshape(-1)
    count = len(tables[0])
    # A number in one version only; a row never stands twice in one.
    times = np.bincount(number[:count], minlength=len(number)) - np.bincount(number[count:], minlength=len(number))
    return np.unique(account[times[number] != 0])
