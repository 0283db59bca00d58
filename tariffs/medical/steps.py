"""The parts of an outpatient settlement: prepay, deductible, share, annual cap, waterfall.

A medical file lists each of them once and in this order; together they compile to one
:class:`MedicalProgram`, because a settlement is one formula over a person's year and not a chain of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Code, Context, Fen, Ratio, Strict
from tariffs.rounding import RoundingMode


class Prepay(Strict):
    """先行自付: the person pays this ratio of category 乙 before anything is in scope."""

    category_b_per_10000: Ratio
    rounding: RoundingMode


class DeductibleCell(Strict):
    """起付线 of an insured type at an institution level."""

    insured: Code
    level: Code
    amount: Fen


class Deductible(Strict):
    """Consumed per person and calendar year; what a visit owes is what the year has not yet consumed."""

    per: Literal["person"]
    period: Literal["calendar_year"]
    by: Annotated[list[DeductibleCell], Field(min_length=1)]


class ShareCell(Strict):
    """Ratio the pooled fund pays above the deductible."""

    insured: Code
    level: Code
    per_10000: Ratio


class Share(Strict):
    """报销比例 by insured type and institution level."""

    rounding: RoundingMode
    by: Annotated[list[ShareCell], Field(min_length=1)]


class CapCell(Strict):
    """封顶线 of an insured type."""

    insured: Code
    amount: Fen


class AnnualCap(Strict):
    """Most the pooled fund pays per person and calendar year; the rest falls back on the person."""

    per: Literal["person"]
    period: Literal["calendar_year"]
    by: Annotated[list[CapCell], Field(min_length=1)]


class Waterfall(Strict):
    """Who pays the person's part, in this order; cash takes what is left and therefore stands last."""

    order: Annotated[list[Literal["account", "purse", "cash"]], Field(min_length=1, max_length=3)]


MedicalStep = Prepay | Deductible | Share | AnnualCap | Waterfall


@dataclass(frozen=True)
class MedicalProgram:
    """Compiled medical tariff.

    Cells are the published (insured, level) pairs: ``insured`` and ``level`` int64 of shape (cells,), sorted;
    ``deductible`` and ``cap`` (fen) and ``share`` (1/10,000) int64 of the same shape.
    """

    insured: Ints
    level: Ints
    deductible: Ints
    share: Ints
    cap: Ints
    share_rounding: RoundingMode
    prepay_ratio: int
    prepay_rounding: RoundingMode
    order: tuple[str, ...]
    rule_below_deductible: int
    rule_share: int
    rule_capped: int

    def cells(self, insured: Ints, level: Ints) -> Ints:
        """Cell of each (insured, level), −1 where none is published; int64 of shape (rows,)."""
        cell = np.full(len(insured), -1, np.int64)
        for index in range(len(self.insured)):
            cell[(insured == self.insured[index]) & (level == self.level[index])] = index
        return cell


def compile_medical(steps: Sequence[tuple[str, MedicalStep]], context: Context) -> MedicalProgram:
    """Assemble the program; ParameterError when a part is missing, out of order or does not fit."""
    match [step for _, step in steps]:
        case [Prepay() as prepay, Deductible() as deductible, Share() as share, AnnualCap() as cap, last]:
            if not isinstance(last, Waterfall):
                raise ParameterError("steps", steps[-1][0], "a medical tariff ends with waterfall")
        case _:
            order = "prepay, deductible, share, annual_cap, waterfall"
            raise ParameterError("steps", [name for name, _ in steps], f"write each once in order: {order}")
    if last.order[-1] != "cash" or len(set(last.order)) != len(last.order):
        raise ParameterError("waterfall.order", last.order, "name each payer once, cash last")
    amounts = _by_cell("deductible.by", [(cell.insured, cell.level, cell.amount) for cell in deductible.by])
    ratios = _by_cell("share.by", [(cell.insured, cell.level, cell.per_10000) for cell in share.by])
    caps = _by_cell("annual_cap.by", [(cell.insured, 0, cell.amount) for cell in cap.by])
    if amounts.keys() != ratios.keys():
        gap = sorted(amounts.keys() ^ ratios.keys())
        raise ParameterError("share.by", gap, "cover the same (insured, level) pairs as deductible")
    if {(insured, 0) for insured, _ in ratios} != caps.keys():
        raise ParameterError("annual_cap.by", sorted(caps), "give every insured type of share one cap")
    cells = sorted(ratios)
    return MedicalProgram(
        insured=np.array([insured for insured, _ in cells], np.int64),
        level=np.array([level for _, level in cells], np.int64),
        deductible=np.array([amounts[cell] for cell in cells], np.int64),
        share=np.array([ratios[cell] for cell in cells], np.int64),
        cap=np.array([caps[insured, 0] for insured, _ in cells], np.int64),
        share_rounding=share.rounding,
        prepay_ratio=prepay.category_b_per_10000,
        prepay_rounding=prepay.rounding,
        order=tuple(last.order),
        rule_below_deductible=context.rule("deductible"),
        rule_share=context.rule("share"),
        rule_capped=context.rule("annual_cap"),
    )


def _by_cell(path: str, cells: list[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    values: dict[tuple[int, int], int] = {}
    for index, (insured, level, value) in enumerate(cells):
        if (insured, level) in values:
            raise ParameterError(f"{path}[{index}]", (insured, level), "the cell stands twice")
        values[insured, level] = value
    return values
