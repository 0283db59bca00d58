"""Steps of one dated segment → frozen arrays ready to price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from typing import cast

import numpy as np

from tariffs.errors import ParameterError, TariffKindError
from tariffs.medical.program import MedicalProgram, compile_medical
from tariffs.medical.steps import MedicalStep
from tariffs.parameters import Context, Strict
from tariffs.tables import Table
from tariffs.transit.apportion import Apportion, Apportionment
from tariffs.transit.chunk import Operation, Phase, TransitStep
from tariffs.utility.program import UtilityProgram, compile_utility
from tariffs.utility.steps import UtilityStep


@dataclass(frozen=True)
class TransitProgram:
    """Compiled transit steps, in the order they are applied to each chunk."""

    full_fare: tuple[Operation, ...]
    """Those of phase GROSS."""
    reductions: tuple[Operation, ...]
    """What the card pays of it, and who bears the rest, as far as each row alone decides."""
    accumulators: tuple[Operation, ...] = ()
    """Steps that remember what the card did before; empty for a stateless tariff."""
    closing: tuple[Operation, ...] = ()
    """The steps behind the accumulators."""
    apportionments: tuple[Apportionment, ...] = ()
    """How a price is divided among operators; empty when the tariff says nothing about it."""


Program = TransitProgram | MedicalProgram | UtilityProgram


@dataclass(frozen=True)
class CompiledTariff:
    """A tariff on the days of one segment; pricing reads nothing else."""

    tariff_id: str
    kind: str
    segment: int
    first_day: date
    last_day: date
    rule_names: tuple[str, ...]
    """Name of each rule id that priced rows carry; 0 is "not covered"."""
    program: Program

    @property
    def segment_name(self) -> str:
        """First and last day of the segment, in ISO form."""
        return f"{self.first_day}..{self.last_day}"

    @property
    def component_names(self) -> tuple[str, ...]:
        """Columns of ``UtilityPrices.components``; empty for the other kinds."""
        return self.program.component_names if isinstance(self.program, UtilityProgram) else ()

    def transit_program(self) -> TransitProgram:
        """The program of a transit tariff; TariffKindError for another kind."""
        if not isinstance(self.program, TransitProgram):
            raise TariffKindError(self.tariff_id, self.kind, "transit")
        return self.program

    def medical_program(self) -> MedicalProgram:
        """The program of a medical tariff; TariffKindError for another kind."""
        if not isinstance(self.program, MedicalProgram):
            raise TariffKindError(self.tariff_id, self.kind, "medical")
        return self.program

    def utility_program(self) -> UtilityProgram:
        """The program of a utility tariff; TariffKindError for another kind."""
        if not isinstance(self.program, UtilityProgram):
            raise TariffKindError(self.tariff_id, self.kind, "utility")
        return self.program


def compile_steps(
    *,
    tariff_id: str,
    kind: str,
    segment: int,
    first_day: date,
    last_day: date,
    steps: Sequence[tuple[str, Strict]],
    tables: Mapping[str, Table],
) -> CompiledTariff:
    """Compile validated steps; ParameterError when they do not fit each other or the tables."""
    context = Context(tables)
    try:
        program = _compile_program(kind, steps, context)
    except ParameterError as error:
        raise ParameterError(_place(steps, error.path), error.value, error.remedy) from error
    _freeze(program)
    return CompiledTariff(tariff_id, kind, segment, first_day, last_day, tuple(context.rule_names), program)


def _compile_program(kind: str, steps: Sequence[tuple[str, Strict]], context: Context) -> Program:
    # The registry of the kind has put exactly these types into the file's steps.
    if kind == "transit":
        return _compile_transit(cast(Sequence[tuple[str, TransitStep | Apportion]], steps), context)
    if kind == "medical":
        return compile_medical(cast(Sequence[tuple[str, MedicalStep]], steps), context)
    return compile_utility(cast(Sequence[tuple[str, UtilityStep]], steps), context)


def _place(steps: Sequence[tuple[str, Strict]], path: str) -> str:
    """The path of a parameter within the file; medical and utility paths begin with the step's name."""
    for index, (name, _) in enumerate(steps):
        if path.startswith(f"{name}."):
            return f"steps[{index}].{path}"
    return path


def _freeze(value: object) -> None:
    """Make every array inside a compiled program read-only: threads share it."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, tuple):
        for item in value:
            _freeze(item)
    elif is_dataclass(value):
        for part in fields(value):
            _freeze(getattr(value, part.name))


def _compile_transit(steps: Sequence[tuple[str, TransitStep | Apportion]], context: Context) -> TransitProgram:
    """Steps that price, then those that divide the price among operators."""
    pricing: list[tuple[str, TransitStep]] = []
    apportionments: list[Apportionment] = []
    for index, (name, step) in enumerate(steps):
        if not isinstance(step, Apportion):
            if apportionments:
                raise ParameterError(f"steps[{index}]", name, "apportion comes last: it divides the finished price")
            pricing.append((name, step))
            continue
        try:
            apportionments.append(step.compile(context))
        except ParameterError as error:
            raise ParameterError(f"steps[{index}].{name}.{error.path}", error.value, error.remedy) from error
    return replace(_compile_prices(pricing, context), apportionments=tuple(apportionments))


def _compile_prices(steps: Sequence[tuple[str, TransitStep]], context: Context) -> TransitProgram:
    if not steps or steps[0][1].phase is not Phase.GROSS:
        names = [name for name, _ in steps]
        raise ParameterError("steps", names, "begin with a step that gives the gross fare")
    operations = []
    for index, (name, step) in enumerate(steps):
        if index and step.phase < steps[index - 1][1].phase:
            remedy = "order the steps: full fare, then what the card pays, then who bears the rest"
            raise ParameterError(f"steps[{index}]", name, remedy)
        try:
            operations.append(step.operation(context))
        except ParameterError as error:
            place = f"steps[{index}].{name}.{error.path}"
            raise ParameterError(place, error.value, error.remedy) from error
    gross_count = sum(step.phase is Phase.GROSS for _, step in steps)
    first = sum(step.phase < Phase.ACCUMULATE for _, step in steps)
    behind = sum(step.phase <= Phase.ACCUMULATE for _, step in steps)
    if first == behind:
        return TransitProgram(tuple(operations[:gross_count]), tuple(operations[gross_count:]))
    return TransitProgram(
        tuple(operations[:gross_count]),
        tuple(operations[gross_count:first]),
        tuple(operations[first:behind]),
        tuple(operations[behind:]),
    )
