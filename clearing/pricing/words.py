"""How amounts of a tariff's answer are called."""

from __future__ import annotations

from tariffs.analyst.messages import Messages
from tariffs.analyst.services import is_money


def column_names(column: str) -> tuple[str, str]:
    """Chinese and English name of an amount that a step of a tariff changed, as analysts see it."""
    chinese, english = (Messages(language).name("columns", column) for language in ("zh", "en"))
    return chinese, english


def counts_fen(column: str) -> bool:
    """Whether an amount of a tariff's answer is money."""
    return is_money(column)
