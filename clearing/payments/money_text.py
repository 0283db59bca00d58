"""Fen as the decimal yuan of bank files, and back; no floats on the way."""

from __future__ import annotations

import re
from typing import Final

_YUAN: Final = re.compile(r"(?P<sign>-?)(?P<yuan>[0-9]{1,15})(?:[.,](?P<fen>[0-9]{0,2})0*)?")


def yuan_of(fen: int) -> str:
    """ "123.45" of 12345."""
    sign, value = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{value // 100}.{value % 100:02d}"


def fen_of(text: str) -> int:
    """12345 of "123.45", "123,45" or "123.4500"; ValueError for anything that is no whole fen."""
    found = _YUAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no amount in yuan with at most two decimals")
    value = int(found["yuan"]) * 100 + int((found["fen"] or "").ljust(2, "0"))
    return -value if found["sign"] else value
