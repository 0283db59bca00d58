"""What every step is made of: strict parameters and a compile context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.rounding import RATIO_ONE
from tariffs.tables import Table

QUANTITY_MAX = 1_000_000_000
"""Largest fare (fen), distance (m) or duration (s) that is priced; beyond it a row counts as not covered.

It keeps every product with a price or ratio inside int64.
"""

ACCUMULATORS_MAX = 16
"""Each takes two bits of the marks that a record of ``walk.FACTS`` holds of a row."""

Fen = Annotated[int, Field(strict=True, ge=0, le=QUANTITY_MAX)]
Quantity = Annotated[int, Field(strict=True, ge=0, le=QUANTITY_MAX)]
PositiveQuantity = Annotated[int, Field(strict=True, ge=1, le=QUANTITY_MAX)]
Ratio = Annotated[int, Field(strict=True, ge=0, le=RATIO_ONE)]
Code = Annotated[int, Field(strict=True, ge=0)]
FundCode = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Flag = Annotated[bool, Field(strict=True)]


class Strict(BaseModel):
    """Parameters that refuse unknown keys and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass
class Context:
    """What a step may look up while it compiles, and the rule names it leaves behind."""

    tables: Mapping[str, Table]
    rule_names: list[str] = field(default_factory=lambda: ["not covered"])
    accumulators: list[str] = field(default_factory=list)

    def table(self, name: str) -> Table:
        """A declared table; ParameterError when the file declares none of this name."""
        if name not in self.tables:
            raise ParameterError("table", name, f"declare it under tables (there: {', '.join(self.tables)})")
        return self.tables[name]

    def accumulator(self, name: str) -> int:
        """Give an accumulator its position among those of the segment; ParameterError when the name is taken."""
        if name in self.accumulators:
            raise ParameterError("name", name, "give each accumulator a name of its own")
        if len(self.accumulators) == ACCUMULATORS_MAX:
            raise ParameterError("name", name, f"a tariff has at most {ACCUMULATORS_MAX} accumulators")
        self.accumulators.append(name)
        return len(self.accumulators) - 1

    def rule(self, name: str) -> int:
        """Give a rule its number, which rows carry as uint16."""
        self.rule_names.append(name)
        return len(self.rule_names) - 1


def in_range(quantity: Ints) -> Bools:
    """Rows whose quantity is there and can be multiplied without overflow."""
    # One unsigned comparison instead of two signed ones: negative values (and NULL) become huge.
    return quantity.view(np.uint64) <= np.uint64(QUANTITY_MAX)
