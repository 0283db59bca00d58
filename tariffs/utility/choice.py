"""Which customers a step or a price is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tariffs.columns import Bools, Ints
from tariffs.utility import kernels
from tariffs.utility.columns import UtilityUsages
from tariffs.utility.steps import Customers

Bytes = npt.NDArray[np.int8]
Shorts = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Choice:
    """Alternatives by customer and time of use, the first that admits a row holds: see ``kernels.choose``."""

    codes: Ints
    counts: Ints
    covers: Bools
    admits_all: bool

    def of(self, usages: UtilityUsages, use_period: Shorts | None = None) -> Bytes:
        """The alternative of each row, int8, −1 = none; without ``use_period`` every time is covered."""
        chosen = np.zeros(len(usages), np.int8)
        if self.admits_all:
            return chosen
        period = np.zeros(len(usages), np.int16) if use_period is None else use_period
        kernels.choose(
            usages.customer_class,
            usages.meter_size,
            period,
            usages.usage_milli,
            self.codes,
            self.counts,
            self.covers,
            chosen,
        )
        return chosen


def compile_choice(alternatives: Sequence[Customers], covers: Bools) -> Choice:
    """Choice among customers; ``covers`` bool (alternatives, times of use)."""
    lists = [(only.customer_class, only.meter_size) for only in alternatives]
    most = max(len(codes or ()) for pair in lists for codes in pair)
    codes = np.zeros((len(lists), 2, most), np.int64)
    counts = np.full((len(lists), 2), -1, np.int64)
    for index, pair in enumerate(lists):
        for which, listed in enumerate(pair):
            if listed is not None:
                codes[index, which, : len(listed)] = listed
                counts[index, which] = len(listed)
    return Choice(codes, counts, covers, bool((counts[0] < 0).all() and covers.shape[1] == 1 and covers.all()))


def everyone(alternatives: Sequence[Customers]) -> Choice:
    """Choice among customers at all times."""
    return compile_choice(alternatives, np.ones((len(alternatives), 1), np.bool_))
