"""How a row gets its price, step by step: the row under a tariff that ends with each step in turn.

The explanation is the price itself and no second program: every line is priced with a shorter file. Analysts see it
at the command line, a clearing engine shows it beside what was charged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tariffs.errors import ParameterError
from tariffs.medical import steps as medical
from tariffs.parameters import QUANTITY_MAX, Strict
from tariffs.tariff import Segment, Tariff

NamedSteps = tuple[tuple[str, Strict], ...]


@dataclass(frozen=True)
class StepTaken:
    """The row after one step; amounts in fen, by answer column."""

    step: str
    """Its key in the file; several joined by ``+`` when they make no price one by one."""
    rule: str
    priced: bool
    before: Mapping[str, int]
    after: Mapping[str, int]

    @property
    def changed(self) -> tuple[str, ...]:
        """Columns this step gave another value."""
        return tuple(name for name, value in self.after.items() if value != self.before.get(name, 0))


@dataclass(frozen=True)
class RowAnswer:
    """What a tariff says of one row: amounts by answer column, the name of the rule, whether it has a price."""

    amounts: Mapping[str, int]
    rule: str
    priced: bool


def trace_steps(tariff: Tariff, segment: int, price: Callable[[Tariff], RowAnswer]) -> tuple[StepTaken, ...]:
    """The row after each step of a segment; ``price`` answers for it by the shorter tariff it is given."""
    steps = tariff.segments[segment].steps
    taken: list[StepTaken] = []
    before: Mapping[str, int] = {}
    shown = 0
    for count in range(1, len(steps) + 1):
        shorter = truncated(tariff, segment, count)
        if shorter is None:
            continue
        answer = price(shorter)
        rule = answer.rule
        if tariff.kind == "medical" and rule.split(" ")[0] not in {name for name, _ in steps[:count]}:
            # That of a step put in: nothing has decided yet.
            rule = ""
        label = " + ".join(step_label(name, step) for name, step in steps[shown:count])
        taken.append(StepTaken(label, rule, answer.priced, before, answer.amounts))
        before, shown = answer.amounts, count
    return tuple(taken)


def truncated(tariff: Tariff, segment: int, steps: int) -> Tariff | None:
    """The tariff with only the first ``steps`` steps in one segment; None where they make no tariff.

    A medical settlement needs all its parts: those behind are put in so that they do nothing.
    """
    segments = list(tariff.segments)
    whole = segments[segment]
    kept = whole.steps[:steps]
    if tariff.kind == "medical" and steps < len(whole.steps):
        if isinstance(whole.steps[steps][1], medical.OutOfRegion):
            # Without it no visit abroad would be covered at all.
            return None
        kept = _settled_by_nobody_else(kept, whole.steps)
    segments[segment] = Segment(whole.first, whole.last, kept)
    shorter = replace(tariff, segments=tuple(segments))
    try:
        shorter.compiled[segment]
    except ParameterError:
        return None
    return shorter


def _settled_by_nobody_else(kept: NamedSteps, whole: NamedSteps) -> NamedSteps:
    """The first steps of a settlement with the required ones that lack put in: nothing deducted, nothing paid."""
    have = {type(step) for _, step in kept}
    deductible = next(step for _, step in whole if isinstance(step, medical.Deductible))
    share = next(step for _, step in whole if isinstance(step, medical.Share))
    cells = [cell.model_dump(include=set(medical.Visitors.model_fields)) for cell in deductible.by]
    insured = [{"insured": code} for code in sorted({cell.insured for cell in share.by})]
    put_in: dict[type[Strict], tuple[str, Strict]] = {}
    if medical.Deductible not in have:
        nothing = [medical.DeductibleCell(amount=0, **cell) for cell in insured]
        put_in[medical.Deductible] = "deductible", medical.Deductible(per="person", period="visit", by=nothing)
        cells = insured
    if medical.Share not in have:
        unpaid = [medical.ShareCell(per_10000=0, **cell) for cell in cells]
        put_in[medical.Share] = "share", medical.Share(rounding="down", by=unpaid)
    if medical.AnnualCap not in have:
        uncapped = [medical.CapCell(amount=QUANTITY_MAX, **cell) for cell in insured]
        put_in[medical.AnnualCap] = "annual_cap", medical.AnnualCap(per="person", period="calendar_year", by=uncapped)
    cash = "waterfall", medical.Waterfall(order=["cash"])
    return (*kept, *put_in.values(), cash)


def step_label(name: str, step: Strict) -> str:
    """A step's key, with the label that tells it from others of its type."""
    label = getattr(step, "label", None) or getattr(step, "name", None) or getattr(step, "fund", None)
    return f"{name} ({label})" if label else name
