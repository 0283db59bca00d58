"""What a step reads of a row, and which rows it reads it of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Empty = Literal["never", "known", "once_per_bill"]


@dataclass(frozen=True)
class Read:
    """A column a step reads, or several of which a row needs any one."""

    columns: tuple[str, ...]
    empty: Empty = "never"
    """Whether a row may leave it empty: ``never``; ``known`` = empty says something (no pass, age not registered);
    ``once_per_bill`` = one row of each bill gives it."""
    always: bool = True
    """False = rows without the column are priced all the same, but where there is one each row needs a value."""


def reads(*columns: str) -> tuple[Read, ...]:
    """Columns each of which no row may leave empty."""
    return tuple(Read((column,)) for column in columns)
