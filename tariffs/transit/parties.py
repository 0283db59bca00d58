"""Priced journeys → what each operator is due."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Bools, Ints
from tariffs.compiler import CompiledTariff
from tariffs.transit.columns import TransitJourneys, TransitPrices


@dataclass(frozen=True, eq=False)
class PartyAmounts:
    """``amounts[row, k]`` fen are due to ``parties[k]``; rows not ``apportioned`` hold zeros.

    ``parties`` are operator numbers, int64 of shape (k,), rising; ``amounts`` int64 of shape (rows, k);
    ``apportioned`` bool of shape (rows,).
    """

    parties: Ints
    amounts: Ints
    apportioned: Bools


def apportion_transit(compiled: CompiledTariff, journeys: TransitJourneys, prices: TransitPrices) -> PartyAmounts:
    """Divide each priced journey by the first apportion step that covers it, in the order of ``journeys``.

    ``prices`` are those of the same rows, of one dated segment. The parts of an apportioned row sum exactly to
    the amount its step divides. Raises TariffKindError when the tariff is not a transit tariff.
    """
    steps = compiled.transit_program().apportionments
    parties = np.unique(np.array([party for step in steps for party in step.division.parties], np.int64))
    amounts = np.zeros((len(journeys), len(parties)), np.int64)
    done = np.zeros(len(journeys), np.bool_)
    for step in steps:
        parts, covered = step.division.divide(journeys, step.whole(prices))
        rows = np.flatnonzero(covered & prices.priced & step.rows(journeys) & ~done)
        columns = np.searchsorted(parties, np.array(step.division.parties, np.int64))
        amounts[rows[:, None], columns] = parts[rows]
        done[rows] = True
    return PartyAmounts(parties, amounts, done)
