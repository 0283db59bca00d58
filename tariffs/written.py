"""How people write the value of a column: classes by name, days and times in ISO form, the rest as integers."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime, timedelta
from typing import Final

from tariffs.columns import NULL
from tariffs.transit.columns import CardClass

EPOCH = date(1970, 1, 1)

OWNERS: Final = frozenset({"card", "person", "account"})
"""Columns of owners: any text is one."""
CODES: Final = frozenset(
    {"mode", "line", "entry_station", "exit_station", "operator", "product", "insured", "person_type", "level"}
    | {"visit_kind", "relation", "aid", "program", "income_class", "home_region", "register", "customer_class"}
    | {"meter_size"}
)
"""Columns whose numbers a tariff file gives their meaning."""

_FLAGS: Final = frozenset({"transfer", "incomplete", "income_exempt"})
_INTEGER = re.compile(r"-?[0-9]+")
_PLAIN_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_OWNER_MAX: Final = 2**63 - 1
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def value_of(column: str, written: str) -> int:
    """The integer that stands for ``written`` in a column of rows.

    Columns ending in ``_time`` take local times (``2026-03-02T07:30:00``) as seconds since 1970, those ending
    in ``_day`` dates as days since 1970, ``card_class`` the names of the classes, :data:`OWNERS` any text. Integers
    are taken as they are. Raises ValueError, with what to write instead, for anything else.
    """
    if column in OWNERS:
        return _owner(written)
    if _INTEGER.fullmatch(written):
        return int(written)
    if column == "card_class":
        if written.upper() in CardClass.__members__:
            return int(CardClass[written.upper()])
        raise ValueError(f"write one of: {', '.join(name.lower() for name in CardClass.__members__)}")
    if column.endswith("_time"):
        if _TIME.fullmatch(written):
            return seconds_of(datetime.fromisoformat(written))
        raise ValueError("write a local time as YYYY-MM-DDTHH:MM:SS")
    if column.endswith("_day"):
        if _DAY.fullmatch(written):
            return day_number(date.fromisoformat(written))
        raise ValueError("write a date as YYYY-MM-DD")
    if column in _FLAGS:
        raise ValueError("write 1 for yes or 0 for no")
    if column in CODES:
        raise ValueError(
            f"write a number: codes of {column} are the file's own, those that its steps and tables name; "
            "a step's label says what they stand for"
        )
    raise ValueError("write an integer: fen, metres, seconds, thousandths of a unit, codes")


def _owner(written: str) -> int:
    """A number that stands for a card, a person or an account however it is written.

    Numbers stand for themselves, unless they have leading zeros or no room in 63 bits: those are texts as others are.
    """
    if _PLAIN_NUMBER.fullmatch(written) and int(written) <= _OWNER_MAX:
        return int(written)
    return int.from_bytes(hashlib.blake2b(written.encode(), digest_size=8).digest()) & _OWNER_MAX


def read_cell(column: str, written: int | str | date | None) -> int:
    """As :func:`value_of` for a value of YAML: :data:`~tariffs.NULL` for none, dates as dates."""
    if written is None:
        return NULL
    if isinstance(written, date):
        written = written.isoformat()
    return value_of(column, written) if isinstance(written, str) else int(written)


def written_of(column: str, value: int) -> str | int:
    """``value`` as :func:`value_of` reads it, names and ISO forms where the column has them."""
    if column == "card_class" and value in set(CardClass):
        return CardClass(value).name.lower()
    if column.endswith("_time"):
        return (datetime(1970, 1, 1) + timedelta(seconds=value)).isoformat()
    if column.endswith("_day"):
        return day_of(value).isoformat()
    return value


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=number)


def seconds_of(moment: datetime) -> int:
    """Local seconds since 1970 of a naive local time."""
    since = moment - datetime(1970, 1, 1)
    return since.days * 86_400 + since.seconds
