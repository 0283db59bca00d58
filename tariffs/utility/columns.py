"""Usage, its prices, and the counters of an account's year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tariffs.columns import Bools, Codes, Column, Columns, Days, Ints


@dataclass(frozen=True, eq=False)
class UtilityUsages(Columns):
    """One reading period of one account per row."""

    account: Annotated[Ints, Column(np.int64)]
    sequence: Annotated[Ints, Column(np.int64)]
    """Reading order within an account; unique per account in a batch."""
    period_day: Annotated[Days, Column(np.int32)]
    """Day that decides the tariff year the usage counts to."""
    usage_milli: Annotated[Ints, Column(np.int64)]
    """Thousandths of the unit: litres of m³, Wh of kWh."""
    household: Annotated[Ints, Column(np.int64, 1)]
    """Registered persons of the household."""


@dataclass(frozen=True, eq=False)
class UtilityPrices(Columns):
    """Answer per usage row; gross is the sum of the row of ``components``, all in fen."""

    gross: Annotated[Ints, Column(np.int64)]
    components: Annotated[Ints, Column(np.int64)]
    """Shape (rows, components), in the order of ``compiled.component_names``."""
    rule: Annotated[Codes, Column(np.uint16)]
    """The tier in which the cumulated usage ends."""
    segment: Annotated[Codes, Column(np.uint16)]
    priced: Annotated[Bools, Column(np.bool_)]


@dataclass(frozen=True, eq=False)
class UtilityState(Columns):
    """Cumulated usage of an account in a calendar year; one row per (account, year), sorted."""

    account: Annotated[Ints, Column(np.int64)]
    year: Annotated[Ints, Column(np.int64)]
    usage_milli: Annotated[Ints, Column(np.int64)]
