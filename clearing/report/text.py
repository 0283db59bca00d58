"""How figures and foreign text are shown: yuan, counts, and nothing that could be a card number."""

from __future__ import annotations

import re
from typing import Final

from markupsafe import Markup

FEN_PER_YUAN: Final = 100
ABSENT: Final = "—"
"""Shown where there is no figure, which is not the same as zero."""

_LONG_NUMBER: Final = re.compile(r"\d{16,}")


def yuan(fen: int | None) -> str:
    """Fen as yuan: two decimals, thousands separators."""
    if fen is None:
        return ABSENT
    whole, rest = divmod(abs(fen), FEN_PER_YUAN)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02d}"


def count(number: int | None) -> str:
    """A count with thousands separators."""
    return ABSENT if number is None else f"{number:,}"


def grouped(digest: str) -> str:
    """A hex digest in groups of eight, for comparison by eye."""
    return " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))


def masked(value: object) -> object:
    """Text from outside with every run of 16 or more digits reduced to its last four; the rest unchanged.

    Jinja calls it on each value a template prints, so no name, file or reason can carry a card number out.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return _LONG_NUMBER.sub(lambda match: "…" + match[0][-4:], value)
    return value
