"""From facts to HTML: one Jinja environment, strict about missing names, escaping everything it prints."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from clearing import __version__
from clearing.config import RESERVE
from clearing.report.facts import Facts, Row
from clearing.report.messages import Language, Messages
from clearing.report.text import count, grouped, masked, yuan

_ENVIRONMENT = Environment(
    loader=PackageLoader("clearing.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=masked,
)


def total(rows: Iterable[Row], column: str) -> int:
    """Σ of a column, missing figures left out."""
    return sum(row[column] or 0 for row in rows)


def moment(value: datetime.datetime) -> str:
    """A wall time to the second."""
    return value.isoformat(sep=" ", timespec="seconds")


_ENVIRONMENT.filters |= {"yuan": yuan, "count": count, "grouped": grouped, "total": total, "moment": moment}


class Names:
    """Participants and sources of money by number, in one language."""

    def __init__(self, facts: Facts, messages: Messages) -> None:
        self._names = {row["participant"]: row[messages.language] for row in facts["participants"]}
        self._messages = messages

    def participant(self, number: int | None) -> str:
        """The participant's name; number 0 is a payee nobody registered."""
        if number is None or number == 0:
            return self._messages("participant.unknown")
        return str(self._names.get(number, number))

    def source(self, number: int) -> str:
        """The name of a source of money."""
        return self._messages("source.reserve") if number == RESERVE else self.participant(number)


def render(template: str, facts: Facts, language: Language, **more: Any) -> str:
    """The HTML of a template; every template gets facts, texts ``t`` and ``names``."""
    messages = Messages(language)
    centre = facts.settings.centre
    return _ENVIRONMENT.get_template(template).render(
        facts=facts,
        t=messages,
        names=Names(facts, messages),
        centre=centre.name.zh if language == "zh" else centre.name.en,
        simulated=centre.simulated,
        engine=__version__,
        **more,
    )
