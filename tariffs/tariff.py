"""Load tariff files: read, check, split into dated segments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from tariffs.columns import Ints
from tariffs.compiler import CompiledTariff, compile_steps
from tariffs.errors import ParameterError, TariffDateError, TariffError, TariffFileError
from tariffs.parameters import Strict
from tariffs.schema import Clock, InlineTest, Kind, Late, Policy, TariffFile, file_error, parse_file
from tariffs.strict_yaml import read_yaml
from tariffs.tables import Table, load_table
from tariffs.transit.accumulators import refuse_renamed
from tariffs.vocabulary import STEPS_OF_KIND

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Segment:
    """A run of days on which nothing in the file changes, with its steps in evaluation order."""

    first: date
    last: date
    steps: tuple[tuple[str, Strict], ...]


@dataclass(frozen=True)
class Tariff:
    """A parsed and validated tariff file."""

    id: str
    kind: Kind
    title: str
    source: str
    currency: str
    policy: Policy
    late: Late
    clock: Clock
    values: Mapping[str, Mapping[date, Any]]
    tables: Mapping[str, Table]
    segments: tuple[Segment, ...]
    tests: tuple[InlineTest, ...]
    file: Path
    sha256: str
    """Of the YAML bytes; tables are bound into them by their own hash."""

    @property
    def first_day(self) -> date:
        """First day with a published price."""
        return self.segments[0].first

    @property
    def last_day(self) -> date:
        """Last day with a published price."""
        return self.segments[-1].last

    @cached_property
    def compiled(self) -> tuple[CompiledTariff, ...]:
        """Every dated segment, compiled once; ParameterError when one does not compile."""
        return tuple(compile_segment(self, index) for index in range(len(self.segments)))

    def segment_of(self, days: npt.NDArray[np.int32]) -> Ints:
        """Index of the segment of each day (int32 days since 1970), int64; −1 outside the published range."""
        firsts = np.array([_day_number(segment.first) for segment in self.segments], np.int64)
        index = np.searchsorted(firsts, days, side="right").astype(np.int64) - 1
        index[days > _day_number(self.last_day)] = -1
        return index

    def segment_on(self, day: date) -> int:
        """Index of the segment of one day; TariffDateError outside the published range."""
        index = int(self.segment_of(np.array([_day_number(day)], np.int32))[0])
        if index < 0:
            raise TariffDateError(self.id, day, self.first_day, self.last_day)
        return index


@dataclass(frozen=True)
class TariffBook:
    """All tariffs of a folder, by id."""

    tariffs: Mapping[str, Tariff]

    def __getitem__(self, tariff_id: str) -> Tariff:
        """The tariff of this id; TariffError naming those there are."""
        if tariff_id not in self.tariffs:
            raise TariffError(f"no tariff {tariff_id}; the book holds {', '.join(sorted(self.tariffs))}")
        return self.tariffs[tariff_id]

    def __contains__(self, tariff_id: object) -> bool:
        return tariff_id in self.tariffs

    def __iter__(self) -> Iterator[Tariff]:
        return iter(self.tariffs.values())

    def __len__(self) -> int:
        return len(self.tariffs)


def _parsed(path: Path, text: bytes) -> TariffFile:
    """What a file of these bytes says; a process opens the same tariffs again and again."""
    try:
        return _parsed_text(text)
    except TariffFileError as error:
        raise TariffFileError(path, error.path, error.value, error.remedy) from error.__cause__


@lru_cache(128)
def _parsed_text(text: bytes) -> TariffFile:
    nameless = Path()
    return parse_file(nameless, read_yaml(nameless, text))


def load_tariff(path: Path) -> Tariff:
    """Read one tariff file with its tables.

    Every segment is compiled once, so that a tariff in hand is known to compile on every published day.
    Raises TariffFileError naming file, place, value and remedy.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TariffFileError(path, "", str(path), "the file cannot be read") from error
    content = _parsed(path, text)
    tables = {name: load_table(path, name, part.file, part.sha256) for name, part in content.tables.items()}
    tariff = Tariff(
        id=content.id,
        kind=content.kind,
        title=content.title,
        source=content.source,
        currency=content.money.currency,
        policy=content.policy,
        late=content.late,
        clock=content.clock,
        values=content.values,
        tables=tables,
        segments=_segments(path, content),
        tests=tuple(content.tests),
        file=path,
        sha256=hashlib.sha256(text).hexdigest(),
    )
    try:
        compiled = tariff.compiled
        if tariff.kind == "transit":
            refuse_renamed(segment.transit_program().accumulators for segment in compiled)
    except ParameterError as error:
        raise TariffFileError(path, error.path, error.value, error.remedy) from error
    return tariff


def load_tariff_book(folder: Path) -> TariffBook:
    """Load every ``*.yaml`` of a folder; TariffFileError when two files claim one id."""
    tariffs: dict[str, Tariff] = {}
    for file in sorted(folder.glob("*.yaml")):
        tariff = load_tariff(file)
        if tariff.id in tariffs:
            first = tariffs[tariff.id].file.name
            remedy = f"{first} has this id: use another, or date the values there"
            raise TariffFileError(file, "id", tariff.id, remedy)
        tariffs[tariff.id] = tariff
    return TariffBook(tariffs)


def compile_segment(tariff: Tariff, index: int) -> CompiledTariff:
    """Compile one dated segment, as ``tariff.segment_of`` numbers them."""
    segment = tariff.segments[index]
    return compile_steps(
        tariff_id=tariff.id,
        kind=tariff.kind,
        segment=index,
        first_day=segment.first,
        last_day=segment.last,
        steps=segment.steps,
        tables=tariff.tables,
    )


def compile_tariff(tariff: Tariff, day: date) -> CompiledTariff:
    """Compile the tariff as it stands on ``day``; TariffDateError outside the published range."""
    return compile_segment(tariff, tariff.segment_on(day))


def _day_number(day: date) -> int:
    return (day - _EPOCH).days


def _segments(file: Path, content: TariffFile) -> tuple[Segment, ...]:
    first, last = content.published.first, content.published.last
    if first > last:
        raise TariffFileError(file, "published", f"{first} to {last}", "the last day is not before the first")
    starts = {first}
    for name, dated in content.values.items():
        days = list(dated)
        if days != sorted(days):
            raise TariffFileError(file, f"values.{name}", days, "write the dates in rising order")
        if days[0] > first:
            raise TariffFileError(file, f"values.{name}", days[0], f"no value between {first} and this date")
        if days[-1] > last:
            raise TariffFileError(file, f"values.{name}", days[-1], f"the file is published only to {last}")
        starts.update(day for day in days if day > first)
    _refuse_unused(file, content)
    ordered = sorted(starts)
    ends = [*(start - timedelta(days=1) for start in ordered[1:]), last]
    return tuple(
        Segment(start, end, _steps_on(file, content, start)) for start, end in zip(ordered, ends, strict=True)
    )


def _steps_on(file: Path, content: TariffFile, day: date) -> tuple[tuple[str, Strict], ...]:
    """The steps of one day: dated values put in, repealed steps left out, parameters checked."""
    registry = STEPS_OF_KIND[content.kind]
    steps: list[tuple[str, Strict]] = []
    for index, entry in enumerate(content.steps):
        place = f"steps[{index}]"
        if len(entry) != 1:
            raise TariffFileError(file, place, sorted(entry), "a step is one key with its parameters")
        [(name, parameters)] = entry.items()
        if name not in registry:
            known = ", ".join(registry)
            raise TariffFileError(file, place, name, f"the steps of a {content.kind} tariff are: {known}")
        resolved = _resolve(file, f"{place}.{name}", parameters, content.values, day)
        if resolved is None:
            continue
        try:
            steps.append((name, registry[name].model_validate(resolved)))
        except ValidationError as error:
            raise file_error(file, f"{place}.{name}", resolved, error) from error
    return tuple(steps)


def _resolve(file: Path, place: str, node: object, values: Mapping[str, Mapping[date, Any]], day: date) -> object:
    """Replace each ``{use: name}`` by the value of that name in force on ``day``, which may use others."""
    if isinstance(node, list):
        return [_resolve(file, f"{place}[{i}]", item, values, day) for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "use" not in node:
        return {key: _resolve(file, f"{place}.{key}", item, values, day) for key, item in node.items()}
    name = node["use"]
    if len(node) != 1 or name not in values:
        raise TariffFileError(file, place, node, f"write {{use: name}} with one of: {', '.join(values)}")
    dated = values[name]
    # Without itself among the values it may use, a value cannot come back to itself.
    others = {other: values[other] for other in values if other != name}
    return _resolve(file, f"values.{name}", dated[max(start for start in dated if start <= day)], others, day)


def _refuse_unused(file: Path, content: TariffFile) -> None:
    """A value or table nobody refers to is most likely a misspelt reference somewhere else."""
    used: set[object] = set()
    waiting: list[object] = [content.steps, list(content.values.values())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
        else:
            used.add(node)
    for part, names in (("values", content.values), ("tables", content.tables)):
        for name in names:
            if name not in used:
                raise TariffFileError(file, f"{part}.{name}", name, "no step uses it: refer to it or drop it")
