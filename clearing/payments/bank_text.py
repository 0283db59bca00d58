"""The bank's own text file of payments or collections (报盘), by a profile: columns, separator, encoding.

The profile is data (``profiles/payment-list.yaml``); the bank's answer (回盘) is read by the same one.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final, Literal

import yaml

from clearing import calendar
from clearing.payments.money_text import yuan_of
from clearing.strict import Strict

Column = Literal[
    "number", "payment", "account_name", "account_number", "bank_code", "amount", "pay_date", "purpose", "result",
    "reason",
]  # fmt: skip


class ListProfile(Strict):
    """Layout of a payment list and of its answer."""

    encoding: str
    separator: str
    header: str
    """First line: ``{message}``, ``{date}``, ``{rows}``, ``{yuan}``."""
    columns: tuple[Column, ...]
    answer: tuple[Column, ...]
    """Columns of the bank's answer."""
    results: dict[str, Literal["accepted", "rejected"]]
    """What the bank's words in ``result`` mean."""
    words: dict[str, str]
    """Text of each purpose."""


def load_profile(name: str = "payment-list") -> ListProfile:
    """A packaged profile."""
    text = files("clearing.payments").joinpath("profiles", f"{name}.yaml").read_text("utf-8")
    return ListProfile.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))


PROFILE: Final = load_profile()


def payment_list(message: str, rows: list[dict[str, Any]], at: int) -> bytes:
    """The list of an order's payments or collections: a header with count and sum, one line each."""
    profile = PROFILE
    total = yuan_of(sum(row["fen"] for row in rows))
    date = calendar.date_of(at // calendar.SECONDS_PER_DAY)
    lines = [profile.header.format(message=message, date=f"{date:%Y%m%d}", rows=len(rows), yuan=total)]
    for number, row in enumerate(sorted(rows, key=lambda each: each["payment"]), 1):
        values = {
            "number": str(number),
            "payment": row["payment"],
            "account_name": row["theirs"]["name"],
            "account_number": row["theirs"]["number"],
            "bank_code": row["theirs"]["bank_code"],
            "amount": yuan_of(row["fen"]),
            "pay_date": row["pay_date"].replace("-", ""),
            "purpose": profile.words["collect" if row["direction"] == "collect" else row["purpose"]],
        }
        lines.append(profile.separator.join(values[name] for name in profile.columns))
    return "".join(f"{line}\r\n" for line in lines).encode(profile.encoding)
