"""The frame of a tariff file: header, tables, dated values, inline tests. Steps are checked per segment."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from tariffs.errors import TariffFileError
from tariffs.parameters import Strict

Kind = Literal["transit", "medical", "utility"]
Policy = Literal["terminal_priced", "engine_priced", "externally_settled"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


Day = Annotated[date, Field(strict=True)]
"""A date written as a date: a quoted one would hide a second value for the same day."""


class Money(Strict):
    """One currency, counted in hundredths whatever they are called."""

    currency: Literal["CNY", "HKD", "AUD", "CAD", "EUR", "GBP", "JPY", "SGD", "TWD", "USD"]
    unit: Literal["fen"]


class Published(Strict):
    """First and last day the file has prices for; a day outside is an error, never an extrapolation."""

    first: Day
    last: Day


class Clock(Strict):
    """When the operating day and the week begin; a tap before ``day_starts`` belongs to the day before."""

    day_starts: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "00:00"
    week_starts: Weekday = "mon"

    @property
    def day_starts_s(self) -> int:
        """Seconds after midnight."""
        hours, minutes = self.day_starts.split(":")
        return int(hours) * 3600 + int(minutes) * 60


class Late(Strict):
    """What happens to rows that arrive late: within the grace they are repriced, after it as named."""

    grace_days: Annotated[int, Field(strict=True, ge=0, le=366)]
    after_grace: Literal["reprice", "forward", "reject"]


class TableFile(Strict):
    """A CSV beside the file and the hash that signs it."""

    file: Annotated[str, Field(pattern=r"^[\w.-]+\.csv$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Cell = int | str | date | None


class InlineTest(Strict):
    """A worked example: rows in, the columns that must come out, row by row; ``null`` is a value that is missing."""

    name: str
    date: Day
    rows: Annotated[list[dict[str, Cell]], Field(min_length=1)]
    expect: Annotated[list[dict[str, int | bool | str]], Field(min_length=1)]


class TariffFile(Strict):
    """Everything a tariff file may say."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$")]
    kind: Kind
    title: str
    source: str
    money: Money
    policy: Policy
    late: Late
    clock: Clock = Clock()
    published: Published
    tables: dict[str, TableFile] = Field(default_factory=dict)
    values: dict[str, Annotated[dict[Day, Any], Field(min_length=1)]] = Field(default_factory=dict)
    steps: Annotated[list[dict[str, Any]], Field(min_length=1)]
    tests: Annotated[list[InlineTest], Field(min_length=1)]


def parse_file(file: Path, content: dict[str, Any]) -> TariffFile:
    """Validate the frame; TariffFileError names the first thing wrong."""
    try:
        return TariffFile.model_validate(content)
    except ValidationError as error:
        raise file_error(file, "", content, error) from error


def file_error(file: Path, prefix: str, content: object, error: ValidationError) -> TariffFileError:
    """The first finding of a pydantic error about ``content``, which stands at ``prefix``, in our own words."""
    first = error.errors(include_url=False)[0]
    path, node = prefix, content
    for depth, part in enumerate(first["loc"], start=1):
        missing = first["type"] == "missing" and depth == len(first["loc"])
        # pydantic adds what is not in the file: the names of alternatives (classes, types) and a mark for keys.
        if isinstance(node, dict) and (part in node or missing):
            path, node = f"{path}.{part}" if path else str(part), node.get(part)
        elif isinstance(node, list) and isinstance(part, int):
            path, node = f"{path}[{part}]", node[part]
    value = None if first["type"] == "missing" else first["input"]
    return TariffFileError(file, path, value, first["msg"])
