"""Compiled medical tariffs: the steps of a file put together to arrays.

A settlement is one formula over a person's year and month and not a chain of columns, therefore the steps compile
together to one :class:`MedicalProgram`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from tariffs.columns import NULL, Ints
from tariffs.errors import ParameterError
from tariffs.medical.cells import Cells, cells_of, cover
from tariffs.medical.columns import FUND_FIELDS
from tariffs.medical.kernels import CERTIFICATE, ORDINARY
from tariffs.medical.steps import (
    AnnualCap,
    Bands,
    CapCell,
    Deductible,
    DeductibleCell,
    IncomeClasses,
    MedicalStep,
    MonthlyLimit,
    OutOfRegion,
    Prepay,
    SecondPayer,
    Share,
    ShareCell,
    Supplement,
    Waterfall,
)
from tariffs.parameters import Context
from tariffs.rounding import KERNEL_ROUNDING, RATIO_ONE, RoundingMode

_Part = TypeVar("_Part", bound=MedicalStep)
_ENDLESS = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Prepayment:
    """Ratios (1/10,000) of 乙 by catalogue (drugs, services, materials) and how each is rounded."""

    ratios: tuple[int, int, int]
    rounding: RoundingMode


@dataclass(frozen=True)
class Relations:
    """Terms by relation code, int64 of shape (relations,), code 0 (home) first."""

    code: Ints
    self_pay: Ints
    share_factor: Ints
    rounding: RoundingMode


@dataclass(frozen=True)
class FundTerms:
    """One fund's terms by cell: ``terms`` (cells, TERMS) as ``kernels.settle_years`` reads them, and bands.

    Bands of cell i are ``band_first[i]`` to
    ``band_first[i + 1]`` of ``band_edge`` (fen) and ``band_share`` (1/10,000). All int64.
    """

    fund: int
    """Position in FUND_FIELDS."""
    base: str
    cells: Cells
    terms: Ints
    band_first: Ints
    band_edge: Ints
    band_share: Ints
    deductible_per_visit: bool
    form: int
    bands: Bands
    rounding: int
    rule: int
    """Rule of rows that this fund pays for (of a supplementary fund), or of the share."""
    rule_capped: int


@dataclass(frozen=True)
class MonthTerms:
    """The monthly limit: classes and ``terms`` (classes, 4) as ``kernels.settle_months`` reads them; int64."""

    per_household: bool
    fund: int
    unit: int
    rounding: int
    counted_from: int
    repeat_after: int
    repeat_within: int
    income_class: Ints
    terms: Ints
    exempt_class: int
    income_edges: Ints
    """Last income of each derived class, empty when the visit names the class."""
    income_classes: Ints
    program_fund: int
    program_terms: int
    program_code: Ints
    program_rate: Ints
    rule: int
    rule_program: int


@dataclass(frozen=True)
class MedicalProgram:
    """Compiled medical tariff."""

    prepayment: Prepayment
    relations: Relations
    basic: FundTerms
    supplements: tuple[FundTerms, ...]
    month: MonthTerms | None
    order: tuple[str, ...]
    accounts_cover_scope_only: bool
    rule_below_deductible: int


def compile_medical(steps: Sequence[tuple[str, MedicalStep]], context: Context) -> MedicalProgram:
    """Assemble the program; ParameterError when a part is missing, out of order or does not fit."""
    parts = _Parts(steps)
    prepay = parts.required(Prepay)
    relations = _relations(parts.optional(OutOfRegion))
    deductible, share, cap = parts.required(Deductible), parts.required(Share), parts.required(AnnualCap)
    supplements = []
    while (supplement := parts.optional(Supplement)) is not None:
        supplements.append((f"steps[{parts.position - 1}].supplement", supplement))
    limit = parts.optional(MonthlyLimit)
    waterfall = parts.required(Waterfall)
    if parts.position < len(steps):
        raise parts.refusal()
    if waterfall.order[-1] != "cash" or len(set(waterfall.order)) != len(waterfall.order):
        raise ParameterError("waterfall.order", waterfall.order, "name each payer once, cash last")
    rule_below = context.rule("deductible")
    program = MedicalProgram(
        prepayment=_prepayment(prepay),
        relations=relations,
        basic=_basic(deductible, share, cap, context),
        supplements=tuple(_supplement(path, step, context) for path, step in supplements),
        month=None if limit is None else _month(limit, context),
        order=tuple(waterfall.order),
        accounts_cover_scope_only=waterfall.accounts_cover == "in_scope",
        rule_below_deductible=rule_below,
    )
    _refuse_shared_funds(program, [name for name, _ in steps])
    return program


class _Parts:
    """The steps of a file, taken one after the other."""

    def __init__(self, steps: Sequence[tuple[str, MedicalStep]]) -> None:
        self._steps = steps
        self.position = 0

    def optional(self, kind: type[_Part]) -> _Part | None:
        """The next step if it is of this kind."""
        if self.position < len(self._steps) and isinstance(step := self._steps[self.position][1], kind):
            self.position += 1
            return step
        return None

    def required(self, kind: type[_Part]) -> _Part:
        """The next step; ParameterError when it is of another kind."""
        step = self.optional(kind)
        if step is None:
            raise self.refusal()
        return step

    def refusal(self) -> ParameterError:
        order = "prepay, out_of_region?, deductible, share, annual_cap, supplement*, monthly_limit?, waterfall"
        return ParameterError("steps", [name for name, _ in self._steps], f"write in this order: {order}")


def _prepayment(step: Prepay) -> Prepayment:
    drugs = step.category_b_per_10000
    others = (step.service_per_10000, step.material_per_10000)
    service, material = (drugs if ratio is None else ratio for ratio in others)
    return Prepayment((drugs, service, material), step.rounding)


def _relations(step: OutOfRegion | None) -> Relations:
    listed = [] if step is None else step.by
    codes = [cell.relation for cell in listed]
    for index, code in enumerate(codes):
        if code in codes[:index]:
            raise ParameterError(f"out_of_region.by[{index}]", code, "the relation stands twice")
    return Relations(
        code=np.array([0, *codes], np.int64),
        self_pay=np.array([0, *(cell.self_pay_per_10000 for cell in listed)], np.int64),
        share_factor=np.array([RATIO_ONE, *(cell.share_factor_per_10000 for cell in listed)], np.int64),
        rounding="down" if step is None else step.rounding,
    )


def _basic(deductible: Deductible, share: Share, cap: AnnualCap, context: Context) -> FundTerms:
    """Terms of the basic fund; the cells of the share table are its cells."""
    cells = cells_of("share.by", share.by)
    cells_of("deductible.by", deductible.by)
    cells_of("annual_cap.by", cap.by)
    if deductible.form != "ordinary" and deductible.period != "visit":
        raise ParameterError("deductible.form", deductible.form, "a franchise is a deductible per visit")
    for index, owed_cell in enumerate(deductible.by):
        if owed_cell.year_max is not None and (deductible.period, deductible.form) != ("visit", "ordinary"):
            remedy = "only an ordinary deductible per visit has a most in the year: leave it out"
            raise ParameterError(f"deductible.by[{index}].year_max", owed_cell.year_max, remedy)
    remedy = "give every cell of share one deductible, and share a cell for every deductible"
    owed = [deductible.by[index] for index in cover("share.by", deductible.by, share.by, remedy)]
    remedy = "give every insured type of share one cap"
    caps: list[CapCell] = [cap.by[index] for index in cover("annual_cap.by", cap.by, share.by, remedy)]
    first, edges, shares = _bands("share", share.by, share.bands)
    return FundTerms(
        fund=0,
        base="in_scope",
        cells=cells,
        terms=np.array([_cell_terms(d, c) for d, c in zip(owed, caps, strict=True)], np.int64),
        band_first=first,
        band_edge=edges,
        band_share=shares,
        deductible_per_visit=deductible.period == "visit",
        form=("ordinary", "franchise", "reverse_franchise").index(deductible.form),
        bands=share.bands or _ONE_BAND,
        rounding=KERNEL_ROUNDING[share.rounding],
        rule=context.rule("share"),
        rule_capped=context.rule("annual_cap"),
    )


def _cell_terms(deductible: DeductibleCell, cap: CapCell) -> list[int]:
    """One row of terms in the order of the kernel's columns."""
    visit_ratio = RATIO_ONE if cap.per_visit_per_10000 is None else cap.per_visit_per_10000
    year_max = _ENDLESS if deductible.year_max is None else deductible.year_max
    return [
        deductible.amount,
        year_max,
        cap.amount,
        _ENDLESS if cap.per_visit is None else cap.per_visit,
        visit_ratio,
    ]


def _supplement(path: str, step: Supplement, context: Context) -> FundTerms:
    cells = cells_of(f"{path}.by", step.by)
    first, edges, shares = _bands(path, step.by, step.bands)
    rule = context.rule(f"supplement {step.fund}")
    return FundTerms(
        fund=FUND_FIELDS.index(step.fund),
        base=step.of,
        cells=cells,
        terms=np.array([[cell.deductible, _ENDLESS, cell.cap, _ENDLESS, RATIO_ONE] for cell in step.by], np.int64),
        band_first=first,
        band_edge=edges,
        band_share=shares,
        deductible_per_visit=False,
        form=ORDINARY,
        bands=step.bands or _ONE_BAND,
        rounding=KERNEL_ROUNDING[step.rounding],
        rule=rule,
        rule_capped=rule,
    )


_ONE_BAND = Bands(period="visit", counted_from="deductible")
"""With a single ratio it does not matter what edges count."""


def _bands(path: str, table: Sequence[ShareCell], counted: Bands | None) -> tuple[Ints, Ints, Ints]:
    """First band of each cell (and the end of the last), upper edges and ratios; int64."""
    first, edges, ratios = [0], list[int](), list[int]()
    for index, cell in enumerate(table):
        place = f"{path}.by[{index}]"
        if (cell.per_10000 is None) == (cell.bands is None):
            raise ParameterError(place, cell.per_10000, "write either per_10000 or bands")
        if cell.bands is None:
            edges.append(_ENDLESS)
            ratios.append(cell.per_10000 or 0)
        else:
            if counted is None:
                raise ParameterError(f"{path}.bands", None, "say what the edges of the bands count")
            ends = [band.up_to for band in cell.bands]
            edges += _rising(f"{place}.bands", ends)
            ratios += [band.per_10000 for band in cell.bands]
        first.append(len(edges))
    return np.array(first, np.int64), np.array(edges, np.int64), np.array(ratios, np.int64)


def _rising(path: str, ends: Sequence[int | None]) -> list[int]:
    """Upper edges with an open end; ParameterError unless they rise and exactly the last is open."""
    edges = [_ENDLESS if end is None else end for end in ends]
    if edges[-1] != _ENDLESS:
        raise ParameterError(path, edges[-1], "leave up_to out of the last band: it has no end")
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise ParameterError(path, list(ends), "write the bands in rising order, only the last without up_to")
    return edges


def _month(step: MonthlyLimit, context: Context) -> MonthTerms:
    classes = [terms.income_class for terms in step.by]
    for index, code in enumerate(classes):
        if code in classes[:index]:
            raise ParameterError(f"monthly_limit.by[{index}]", code, "the income class stands twice")
        if (step.by[index].repeated is None) != (step.repeat is None):
            raise ParameterError(f"monthly_limit.by[{index}].repeated", None, "goes with repeat: write both or none")
    edges, derived = _income_bands(step.classes, classes)
    rates, program_terms = _programmes(step.second_payer, classes)
    return MonthTerms(
        per_household=step.per == "household",
        fund=FUND_FIELDS.index(step.fund),
        rounding=KERNEL_ROUNDING[step.rounding],
        unit=step.to,
        counted_from=step.counted_from,
        repeat_after=0 if step.repeat is None else step.repeat.months,
        repeat_within=0 if step.repeat is None else step.repeat.within_months,
        income_class=np.array(classes, np.int64),
        terms=np.array([[t.base, t.threshold, t.per_10000, t.repeated or 0] for t in step.by], np.int64),
        exempt_class=NULL if step.classes is None else step.classes.exempt,
        income_edges=edges,
        income_classes=derived,
        program_fund=0 if step.second_payer is None else FUND_FIELDS.index(step.second_payer.fund),
        program_terms=program_terms,
        program_code=np.array(list(rates), np.int64),
        program_rate=np.array(list(rates.values()), np.int64),
        rule=context.rule("monthly_limit"),
        rule_program=0 if step.second_payer is None else context.rule("second_payer"),
    )


def _income_bands(step: IncomeClasses | None, classes: Sequence[int]) -> tuple[Ints, Ints]:
    if step is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    edges = _rising("monthly_limit.classes.bands", [band.up_to for band in step.bands])
    derived = [band.income_class for band in step.bands]
    for code in (step.exempt, *derived):
        if code not in classes:
            raise ParameterError("monthly_limit.classes", code, f"the classes with terms are {sorted(classes)}")
    return np.array(edges, np.int64), np.array(derived, np.int64)


def _programmes(step: SecondPayer | None, classes: Sequence[int]) -> tuple[dict[int, int], int]:
    """Rate of each programme as the kernel reads it, and the row of terms for their bills."""
    rates: dict[int, int] = {}
    if step is None:
        return rates, 0
    if step.income_class not in classes:
        remedy = f"the classes with terms are {sorted(classes)}"
        raise ParameterError("monthly_limit.second_payer.income_class", step.income_class, remedy)
    for index, programme in enumerate(step.by):
        place = f"monthly_limit.second_payer.by[{index}]"
        if programme.program in rates:
            raise ParameterError(place, programme.program, "the programme stands twice")
        if (programme.per_10000 is None) != (programme.person_pays == "certificate"):
            raise ParameterError(f"{place}.per_10000", programme.per_10000, "goes with person_pays: ratio")
        rates[programme.program] = CERTIFICATE if programme.per_10000 is None else programme.per_10000
    return rates, classes.index(step.income_class)


def _refuse_shared_funds(program: MedicalProgram, names: Sequence[str]) -> None:
    """A fund keeps one set of counters, so one step owns it."""
    used = [terms.fund for terms in program.supplements]
    if program.month is not None:
        used.append(program.month.fund)
        if program.month.rule_program:
            used.append(program.month.program_fund)
    for index, fund in enumerate(used):
        if fund in used[:index]:
            remedy = f"two steps pay by {FUND_FIELDS[fund]}: give each its own fund"
            raise ParameterError("steps", list(names), remedy)
