"""Profiles: how a file that somebody else designed becomes records, as data.

A profile is a strict YAML file. Its columns are a list, because one source column may feed several engine
columns. A profile may name a ``base``: ``<base>.base.yaml`` beside it, whose keys it takes unless it has its
own; columns and constants of both count. Profiles carry no bills; combined utility payments come as Parquet.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic import Field as Constrained

from card_io.delivery.columns import allowed_range
from card_io.delivery.errors import ProfileError
from card_io.delivery.jtt978_records import RECORDS
from card_io.delivery.pattern import DatePattern
from card_io.records import Field, Service, fields_of

PACKAGED: Final = Path(str(files("card_io.delivery") / "profiles"))
"""Folder of the profiles that come with the package."""


def _readable_pattern(text: str) -> str:
    DatePattern(text)
    return text


_Pattern = Annotated[str, AfterValidator(_readable_pattern)]
_Character = Annotated[str, StringConstraints(pattern=r"^[\x01-\x7f]$")]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Delimited(_Strict):
    """Text with one row per line and one field per column."""

    format: Literal["csv"]
    delimiter: _Character
    quote: _Character | None
    header: Literal[True] | list[str]
    """True: the first line names the columns. A list: no such line, these are the names."""


class JsonPage(_Strict):
    """One JSON document with a list of objects somewhere inside."""

    format: Literal["json"]
    records: list[str]
    """Keys that lead to the list of records, outermost first."""


class FixedField(_Strict):
    """One field of a fixed-width line: ``width`` bytes; text is GBK, everything else printable ASCII."""

    name: str
    width: Annotated[int, Constrained(ge=1, le=400)]
    text: bool = False


class FixedWidth(_Strict):
    """Lines of fixed width in a JT/T 978.4 frame; the header line says how long they are.

    Attributes:
        record: a declared record (`jtt978_records.csv`) whose fields the layout has, in place of ``fields``.
        fields: one behind the other.
        last_widths: other widths that the last field may have, as the header's record length tells.
        tlv_bytes_max: most bytes of TLV data (hex text) behind the fields.
        tags: source name → tag (one byte, hex) of the TLV objects; values are big-endian integers of 1 to 8 bytes.
    """

    format: Literal["jtt978"]
    record: Literal["CD", "CL", "FB"] | None = None
    fields: Annotated[list[FixedField], Constrained(min_length=1)]
    last_widths: list[Annotated[int, Constrained(ge=1, le=400)]] = []
    tlv_bytes_max: Annotated[int, Constrained(ge=0, le=1024)] = 0
    tags: dict[str, Annotated[str, StringConstraints(pattern=r"^[89][0-9A-E]$")]] = {}

    @model_validator(mode="before")
    @classmethod
    def _declared(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("record") in RECORDS and "fields" not in content:
            fields = RECORDS[content["record"]].fields
            listed = [{"name": each.name, "width": each.width, "text": each.kind == "text"} for each in fields]
            return {**content, "fields": listed}
        return content

    @property
    def names(self) -> list[str]:
        """Every source the layout has."""
        return [field.name for field in self.fields] + list(self.tags)

    @property
    def record_lengths(self) -> list[int]:
        """Record lengths the header may name."""
        *front, last = [field.width for field in self.fields]
        return [sum(front) + width for width in (last, *self.last_widths)]

    def places(self, length: int) -> list[tuple[str, int, int, bool]]:
        """Name, start, end and whether it is text, of each field in a record of ``length`` bytes."""
        places, start = [], 0
        for field in self.fields:
            places.append((field.name, start, min(start + field.width, length), field.text))
            start += field.width
        return places


class Condition(_Strict):
    """Only rows where another source column has one of these values."""

    source: str
    values: list[str]


class CardColumn(_Strict):
    """The card: ``card`` splits off all-digit numbers, ``text_card`` keeps every text opaque (masked cards)."""

    kind: Literal["card", "text_card"]
    source: str


class DatetimeColumn(_Strict):
    """Date, time or both, as raw BCD into ``date4`` and ``time3``; impossible dates stay as they are."""

    kind: Literal["datetime"]
    source: str
    pattern: _Pattern


class _FieldColumn(_Strict):
    source: str
    field: str
    when: Condition | None = None


class IntColumn(_FieldColumn):
    """A decimal integer of at most 18 digits; ``yuan`` has up to two decimals and becomes fen exactly."""

    kind: Literal["int"]
    unit: Literal["one", "fen", "yuan"] = "one"


class HexColumn(_FieldColumn):
    """Big-endian hex digits, at most 16 of them, as PSAM numbers are printed."""

    kind: Literal["hex"]


class MapColumn(_FieldColumn):
    """Each source text stands for a number; every text that occurs has to be listed."""

    kind: Literal["map"]
    values: Annotated[dict[str, int], Constrained(min_length=1)]


class CodeColumn(_FieldColumn):
    """A name without a number of its own, coded by :func:`card_io.delivery.text_columns.code_of`."""

    kind: Literal["code"]


class DroppedColumn(_Strict):
    """A source column with no place in the record, the reason why, and the form it must still have."""

    kind: Literal["dropped"]
    source: str
    reason: Annotated[str, StringConstraints(min_length=1)]
    pattern: _Pattern | None = None


FieldColumn = IntColumn | HexColumn | MapColumn | CodeColumn
Column = CardColumn | DatetimeColumn | FieldColumn | DroppedColumn


class SourceRules(_Strict):
    """What the checks must know about a source beyond its rows.

    Attributes:
        identity: replay = what the TAC covers plus the card; whole_row = every column, null equals null.
        multiplicity: how many equal rows may stand per file.
        card_counter: whether the source writes the counter before or after the transaction; decoded rows
            always carry the value before.
        balances: whether a balance may be negative.
        tac: whether the source carries transaction authentication codes.
    """

    identity: Literal["replay", "whole_row"]
    multiplicity: Annotated[int, Constrained(ge=1)] = 1
    card_counter: Literal["before", "after"]
    balances: Literal["signed", "unsigned"]
    tac: Literal["present", "none"]


class Profile(SourceRules):
    """One source format, completely."""

    description: str
    service: Literal["transit", "medical", "utility", "retail", "load", "benefit"]
    encoding: Literal["utf-8", "utf-8-sig", "gbk"]
    layout: Annotated[Delimited | JsonPage | FixedWidth, Constrained(discriminator="format")]
    missing: list[str]
    """Texts that mean "no value"; in JSON also an absent key and null."""
    constants: dict[str, int]
    columns: list[Annotated[Column, Constrained(discriminator="kind")]]

    @property
    def record_service(self) -> Service:
        """`service` as the enum of the record schema."""
        return Service[self.service.upper()]

    @property
    def sources(self) -> list[str]:
        """Every source column once, in order of first use."""
        return list(dict.fromkeys(column.source for column in self.columns))

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        fields = {field.name: field for field in fields_of(self.record_service)}
        _check_targets(_targets(self), fields)
        _check_values(self, fields)
        if sum(isinstance(column, CardColumn) for column in self.columns) != 1:
            raise ValueError("columns need exactly one of kind card or text_card")
        if (self.tac == "present") != ("tac" in _targets(self)):
            raise ValueError("tac: present goes with a column for field tac, tac: none without one")
        if isinstance(self.layout, FixedWidth) and sorted(self.sources) != sorted(self.layout.names):
            odd = sorted(set(self.sources) ^ set(self.layout.names)) or self.layout.names
            raise ValueError(f"columns and layout differ in {', '.join(odd)}: map or drop each field once")
        if isinstance(self.layout, Delimited) and self.layout.header is not True:
            unnamed = [source for source in self.sources if source not in self.layout.header]
            if unnamed:
                raise ValueError(f"the header does not name {', '.join(unnamed)}")
        return self


def _targets(profile: Profile) -> list[str]:
    targets = list(profile.constants)
    for column in profile.columns:
        if isinstance(column, DatetimeColumn):
            targets += DatePattern(column.pattern).fields
        elif isinstance(column, _FieldColumn):
            targets.append(column.field)
    return targets


def _check_targets(targets: list[str], fields: dict[str, Field]) -> None:
    if unknown := [name for name in targets if name not in fields]:
        raise ValueError(f"the service has no field {', '.join(unknown)}")
    if twice := sorted({name for name in targets if targets.count(name) > 1}):
        raise ValueError(f"field {', '.join(twice)} has two sources")
    if bare := [field.name for field in fields.values() if not field.nullable and field.name not in targets]:
        raise ValueError(f"field {', '.join(bare)} has no source: map a column or give a constant")


def _check_values(profile: Profile, fields: dict[str, Field]) -> None:
    for name, value in profile.constants.items():
        _check_in_range(value, fields[name])
    for column in profile.columns:
        if isinstance(column, MapColumn):
            for value in column.values.values():
                _check_in_range(value, fields[column.field])
        if isinstance(column, _FieldColumn) and column.when is not None:
            if not fields[column.field].nullable:
                raise ValueError(f"field {column.field} is never missing, so it cannot have a condition")
            if column.when.source not in profile.sources:
                raise ValueError(f"the condition on {column.field} names {column.when.source}, not a source")


def _check_in_range(value: int, field: Field) -> None:
    low, high = allowed_range(field)
    if not low <= value <= high:
        raise ValueError(f"{value} is outside of {field.name}: {low} to {high}")


_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
"""What profiles and their bases may be called: never a path."""


def load_profile(name: str, folders: Sequence[Path] = ()) -> Profile:
    """The profile ``<name>.yaml`` of the first folder that has one; packaged profiles come last.

    Raises:
        ProfileError: there is none, or it is malformed.
    """
    for folder in (*folders, PACKAGED):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _parse(path)
    raise ProfileError(
        f"{name}.yaml", "format", repr(name), "name 'parquet' or a profile of the centre or the package"
    )


def _parse(path: Path) -> Profile:
    content = _read_yaml(path)
    if base := content.pop("base", None):
        if not _NAME.fullmatch(str(base)):
            remedy = "name <base> of <base>.base.yaml beside the profile: small letters, digits and hyphens"
            raise ProfileError(path.name, "base", repr(base)[:80], remedy)
        content = _with_base(content, _read_yaml(path.with_name(f"{base}.base.yaml")))
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the profile"
        value = "inconsistent" if isinstance(problem["input"], dict) else repr(problem["input"])[:80]
        raise ProfileError(path.name, field, value, f"correct it: {problem['msg']}") from None


def _with_base(content: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """A base gives every key the profile lacks; columns and constants of both count."""
    joined = {**base, **content}
    for name in ("columns", "constants"):
        both = base.get(name), content.get(name)
        if isinstance(both[0], list) and isinstance(both[1], list):
            joined[name] = both[0] + both[1]
        elif isinstance(both[0], dict) and isinstance(both[1], dict):
            joined[name] = both[0] | both[1]
    return joined


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeyLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ProfileError(path.name, "the file", f"unreadable ({error})", "correct the YAML") from None
    if not isinstance(content, dict):
        raise ProfileError(path.name, "the file", "not a mapping", "give the profile's keys")
    return content


class _UniqueKeyLoader(yaml.CSafeLoader):
    """YAML forbids equal keys, PyYAML lets the last one win: in a value map that would move money."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return mapping
